/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package discovery

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Index holds what a cluster's Services, EndpointSlices, namespaces and pods
// are to DNS. It may be read while it is changed.
type Index struct {
	options Options
	now     func() time.Time

	// services are by "name.namespace", which is how a query has them.
	services   *shards[string, *service]
	namespaces *shards[string, struct{}]
	// owners are the Services that have an address, or an endpoint that does; most
	// addresses belong to one. Sharers are the others.
	owners  *shards[address, *service]
	sharers *shards[address, []*service]
	// pods are the namespaces of the pods that have an address.
	pods *shards[address, []string]
	// changed is when an answer was changed last, in Unix time.
	changed atomic.Int64

	// writing is held to change anything. It guards what follows.
	writing sync.Mutex
	// slices says which Service a slice was last a part of.
	slices map[types.NamespacedName]*service
	// podAddresses are those that a pod was known to have.
	podAddresses map[types.NamespacedName][]address
}

// service is a place for the entries of a Service, one after the other.
type service struct {
	key   string
	entry atomic.Pointer[entry]
}

// NewIndex makes an Index that knows nothing.
func NewIndex(o Options) *Index {
	return &Index{
		options: o, now: time.Now,
		services: newShards[string, *service](), namespaces: newShards[string, struct{}](),
		owners: newShards[address, *service](), sharers: newShards[address, []*service](), pods: newShards[address, []string](),
		slices: map[types.NamespacedName]*service{}, podAddresses: map[types.NamespacedName][]address{},
	}
}

// Serial is when an answer was changed last, in seconds since 1970; zero before.
func (x *Index) Serial() uint32 { return uint32(x.changed.Load()) }

func (x *Index) touch() { x.changed.Store(x.now().Unix()) }

// SetNamespace makes a namespace known; only what is in known ones is answered.
func (x *Index) SetNamespace(name string) {
	x.namespaces.set(name, struct{}{})
	x.touch()
}

// DeleteNamespace forgets a namespace.
func (x *Index) DeleteNamespace(name string) {
	x.namespaces.delete(name)
	x.touch()
}

// SetService takes a Service as it is now. It keeps nothing of svc but strings.
func (x *Index) SetService(svc *corev1.Service) {
	x.writing.Lock()
	defer x.writing.Unlock()
	s := x.service(svc.Name + "." + svc.Namespace)
	x.replace(s, s.entry.Load().withService(svc))
}

// DeleteService takes it that there is no such Service.
func (x *Index) DeleteService(namespace, name string) {
	x.writing.Lock()
	defer x.writing.Unlock()
	if s, found := x.services.get(name + "." + namespace); found {
		x.replace(s, &entry{slices: s.entry.Load().slices})
	}
}

// SetSlice takes an EndpointSlice as it is now, and says whether that changes
// anything. It keeps nothing of eps but strings.
func (x *Index) SetSlice(eps *discoveryv1.EndpointSlice) (changed bool) {
	x.writing.Lock()
	defer x.writing.Unlock()
	name := types.NamespacedName{Namespace: eps.Namespace, Name: eps.Name}
	owner := eps.Labels[discoveryv1.LabelServiceName]
	if old := x.slices[name]; old != nil && old.key != owner+"."+eps.Namespace {
		changed = x.removeSlice(name)
	}
	if owner == "" || eps.AddressType == discoveryv1.AddressTypeFQDN {
		return x.removeSlice(name) || changed
	}
	s := x.service(owner + "." + eps.Namespace)
	x.slices[name] = s
	return x.replace(s, s.entry.Load().withSlice(eps.Name, newSlice(eps, x.options.EndpointPodNames))) || changed
}

// DeleteSlice takes it that there is no such EndpointSlice.
func (x *Index) DeleteSlice(namespace, name string) {
	x.writing.Lock()
	defer x.writing.Unlock()
	x.removeSlice(types.NamespacedName{Namespace: namespace, Name: name})
}

func (x *Index) removeSlice(name types.NamespacedName) (changed bool) {
	s := x.slices[name]
	if s == nil {
		return false
	}
	delete(x.slices, name)
	return x.replace(s, s.entry.Load().withSlice(name.Name, nil))
}

// service is the place of a Service, a new one if there was none.
func (x *Index) service(key string) *service {
	if s, found := x.services.get(key); found {
		return s
	}
	s := &service{key: key}
	s.entry.Store(&entry{})
	x.services.set(key, s)
	return s
}

// replace has readers see now in place of what was, if they differ. A reader finds an address
// by its owners and then looks at their entries, so that it does no harm when
// one of the two is a moment younger.
func (x *Index) replace(s *service, now *entry) (changed bool) {
	before := s.entry.Load()
	if before.equal(now) {
		return false
	}
	s.entry.Store(now)
	for a := range now.without(before) {
		x.own(a, s)
	}
	for a := range before.without(now) {
		x.disown(a, s)
	}
	if now.kind == absent && len(now.slices) == 0 {
		x.services.delete(s.key)
	}
	x.touch()
	return true
}

// SetPod takes a pod as it is now.
func (x *Index) SetPod(pod *corev1.Pod) {
	x.writing.Lock()
	defer x.writing.Unlock()
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	now := podAddresses(pod)
	before := x.podAddresses[name]
	if slices.Equal(before, now) {
		return
	}
	x.movePod(name, before, now)
}

// DeletePod takes it that there is no such pod.
func (x *Index) DeletePod(namespace, name string) {
	x.writing.Lock()
	defer x.writing.Unlock()
	pod := types.NamespacedName{Namespace: namespace, Name: name}
	x.movePod(pod, x.podAddresses[pod], nil)
}

func (x *Index) movePod(pod types.NamespacedName, before, now []address) {
	for _, a := range now {
		namespaces, _ := x.pods.get(a)
		x.pods.set(a, append(slices.Clone(namespaces), pod.Namespace))
	}
	for _, a := range before {
		namespaces, _ := x.pods.get(a)
		left := slices.Clone(namespaces)
		if at := slices.Index(left, pod.Namespace); at >= 0 {
			left = slices.Delete(left, at, at+1)
		}
		if len(left) == 0 {
			x.pods.delete(a)
		} else {
			x.pods.set(a, left)
		}
	}
	if len(now) == 0 {
		delete(x.podAddresses, pod)
	} else {
		x.podAddresses[pod] = now
	}
	x.touch()
}

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
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const zone = "cluster.local."

// world is what a cluster holds, and an index that was told of every change.
type world struct {
	random     *rand.Rand
	options    Options
	index      *Index
	namespaces map[string]bool
	services   map[types.NamespacedName]*corev1.Service
	slices     map[types.NamespacedName]*discoveryv1.EndpointSlice
}

func newWorld(seed uint64, o Options) *world {
	return &world{
		random: rand.New(rand.NewPCG(seed, 1)), options: o, index: NewIndex(o), namespaces: map[string]bool{},
		services: map[types.NamespacedName]*corev1.Service{}, slices: map[types.NamespacedName]*discoveryv1.EndpointSlice{},
	}
}

// step changes one thing. Names and addresses are few, so that they meet.
func (w *world) step() {
	switch n := w.random.IntN(20); {
	case n == 0:
		w.changeNamespace()
	case n < 8:
		w.changeService()
	default:
		w.changeSlice()
	}
}

var namespaces = []string{"a", "b", "svc", "pod"}

func (w *world) namespace() string { return namespaces[w.random.IntN(len(namespaces))] }

func (w *world) changeNamespace() {
	name := w.namespace()
	if w.namespaces[name] && w.random.IntN(3) == 0 {
		delete(w.namespaces, name)
		w.index.DeleteNamespace(name)
		return
	}
	w.namespaces[name] = true
	w.index.SetNamespace(name)
}

func (w *world) serviceName() types.NamespacedName {
	return types.NamespacedName{Namespace: w.namespace(), Name: fmt.Sprintf("s%d", w.random.IntN(6))}
}

func (w *world) changeService() {
	name := w.serviceName()
	if w.services[name] != nil && w.random.IntN(3) == 0 {
		delete(w.services, name)
		w.index.DeleteService(name.Namespace, name.Name)
		return
	}
	svc := w.service(name)
	w.services[name] = svc
	w.index.SetService(svc.DeepCopy())
}

func (w *world) service(name types.NamespacedName) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	// Two Services can not have one address.
	number := 10*slices.Index(namespaces, name.Namespace) + int(name.Name[1]-'0')
	v4, v6 := fmt.Sprintf("10.96.0.%d", number), fmt.Sprintf("fd00:96::%x", number)
	switch w.random.IntN(6) {
	case 0:
		svc.Spec.Type = corev1.ServiceTypeExternalName
		svc.Spec.ExternalName = []string{"example.com", "example.com.", "s1.a.svc.cluster.local", "192.0.2.1", strings.Repeat("x", 64) + ".com"}[w.random.IntN(5)]
		return svc
	case 1, 2:
		svc.Spec.ClusterIPs = []string{corev1.ClusterIPNone}
	case 3:
		svc.Spec.ClusterIPs = []string{v4}
	case 4:
		svc.Spec.ClusterIPs = []string{v6}
	case 5:
		svc.Spec.ClusterIPs = []string{v4, v6}
	}
	svc.Spec.ClusterIP = svc.Spec.ClusterIPs[0]
	for _, p := range w.ports() {
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Name: p.name.Value(), Protocol: corev1.Protocol(strings.ToUpper(p.protocol.Value())), Port: p.number})
	}
	return svc
}

// ports are some whose names differ; one alone may go without.
func (w *world) ports() []port {
	all := []port{
		{wordOf("http"), wordOf("tcp"), 80}, {wordOf("https"), wordOf("tcp"), 443},
		{wordOf("dns"), wordOf("udp"), 53}, {wordOf("dns-tcp"), wordOf("tcp"), 53}, {wordOf("m3ua"), wordOf("sctp"), 2905},
	}
	w.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:w.random.IntN(4)]
	if len(all) == 1 && w.random.IntN(2) == 0 {
		all[0].name = wordOf("")
	}
	for i := range all {
		all[i].number += int32(w.random.IntN(2))
	}
	return all
}

func (w *world) changeSlice() {
	name := types.NamespacedName{Namespace: w.namespace(), Name: fmt.Sprintf("e%d", w.random.IntN(8))}
	if w.slices[name] != nil && w.random.IntN(3) == 0 {
		delete(w.slices, name)
		w.index.DeleteSlice(name.Namespace, name.Name)
		return
	}
	eps := w.slice(name)
	w.slices[name] = eps
	w.index.SetSlice(eps.DeepCopy())
}

func (w *world) slice(name types.NamespacedName) *discoveryv1.EndpointSlice {
	eps := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	if w.random.IntN(10) > 0 {
		eps.Labels = map[string]string{discoveryv1.LabelServiceName: w.serviceName().Name}
	}
	for _, p := range w.ports() {
		protocol := corev1.Protocol(strings.ToUpper(p.protocol.Value()))
		eps.Ports = append(eps.Ports, discoveryv1.EndpointPort{Name: new(p.name.Value()), Protocol: &protocol, Port: &p.number})
	}
	format := "10.0.0.%d"
	eps.AddressType = discoveryv1.AddressTypeIPv4
	switch w.random.IntN(5) {
	case 0, 1:
		eps.AddressType, format = discoveryv1.AddressTypeIPv6, "fd00::%x"
	case 2:
		eps.AddressType, format = discoveryv1.AddressTypeIPv6, "fd00:%x::"
	}
	for range w.random.IntN(5) {
		endpoint := discoveryv1.Endpoint{}
		for range 1 + w.random.IntN(2)*w.random.IntN(2) {
			endpoint.Addresses = append(endpoint.Addresses, fmt.Sprintf(format, 1+w.random.IntN(20)))
		}
		if w.random.IntN(3) == 0 {
			// One is called as an endpoint without a name of its own would be.
			endpoint.Hostname = new([]string{"db-0", "db-1", "db-2", "db-3", "10-0-0-1"}[w.random.IntN(5)])
		}
		if w.random.IntN(3) == 0 {
			endpoint.TargetRef = &corev1.ObjectReference{Name: []string{"pod-1", "pod-2", "pod.dotted", strings.Repeat("p", 64)}[w.random.IntN(4)]}
		}
		if w.random.IntN(3) == 0 {
			endpoint.Conditions.Ready = new(w.random.IntN(2) == 0)
		}
		eps.Endpoints = append(eps.Endpoints, endpoint)
	}
	return eps
}

// records are those that the world has, as Records says.
func (w *world) records() []Record {
	var all []Record
	for name, svc := range w.services {
		if w.namespaces[name.Namespace] {
			all = append(all, Records(svc, w.slicesOf(name), w.options)...)
		}
	}
	// The address of a Service is not also one of an endpoint.
	virtual := map[string]bool{}
	for _, r := range all {
		if r.Type == PTR && strings.Count(r.Data, ".") == 5 {
			virtual[r.Name] = true
		}
	}
	return slices.DeleteFunc(all, func(r Record) bool { return r.Type == PTR && virtual[r.Name] && strings.Count(r.Data, ".") > 5 })
}

func (w *world) slicesOf(name types.NamespacedName) []*discoveryv1.EndpointSlice {
	var eps []*discoveryv1.EndpointSlice
	for _, s := range w.slices {
		if s.Namespace == name.Namespace && s.Labels[discoveryv1.LabelServiceName] == name.Name {
			eps = append(eps, s)
		}
	}
	return eps
}

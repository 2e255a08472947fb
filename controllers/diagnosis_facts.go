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

package controllers

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/diagnosis/findings"
)

// slicesByService is the cache index from a Service to the EndpointSlices of its
// name, whoever manages them.
const slicesByService = "switchyard.dev/diagnosis-service"

// diagnosisCaches are what facts are read from. Nothing that comes out of them is
// copied, and nothing of it is changed.
type diagnosisCaches struct {
	services, slices, nodes, policies toolscache.Indexer
	pods                              podIndex
}

func newDiagnosisCaches(ctx context.Context, mgr ctrl.Manager) (caches diagnosisCaches, err error) {
	for _, kind := range []struct {
		object client.Object
		into   *toolscache.Indexer
	}{
		{&corev1.Service{}, &caches.services}, {&discoveryv1.EndpointSlice{}, &caches.slices},
		{&corev1.Node{}, &caches.nodes}, {&networkingv1.NetworkPolicy{}, &caches.policies},
	} {
		informer, err := mgr.GetCache().GetInformer(ctx, kind.object)
		if err != nil {
			return caches, fmt.Errorf("watching %T: %w", kind.object, err)
		}
		shared, ok := informer.(toolscache.SharedIndexInformer)
		if !ok {
			return caches, fmt.Errorf("watching %T: the cache offers no indexer, but %T; diagnosis needs a cluster-wide cache", kind.object, informer)
		}
		*kind.into = shared.GetIndexer()
	}
	if err := caches.slices.AddIndexers(toolscache.Indexers{slicesByService: serviceKeyOfSlice}); err != nil {
		return caches, fmt.Errorf("indexing EndpointSlices by Service: %w", err)
	}
	caches.pods, err = newPodIndex(ctx, mgr)
	return caches, err
}

func serviceKeyOfSlice(object any) ([]string, error) {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok || slice.Labels[discoveryv1.LabelServiceName] == "" {
		return nil, nil
	}
	return []string{slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]}, nil
}

// facts are all that the caches say about a Service. Agents are left out: one that
// is broken concerns a node and all Services alike, and would be written into the
// status of each. So are labels of namespaces and DNS, which matter to a client.
func (r *DiagnosisReconciler) facts(ctx context.Context, service *corev1.Service, memory *diagnosisMemory) (*diagnosis.Facts, error) {
	key := client.ObjectKeyFromObject(service)
	f := &diagnosis.Facts{Name: key, Service: service, Now: r.Now()}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		f.Zone = r.Options.ClusterDomain
		f.Services = r.caches.target(service, f.Zone)
		return f, nil
	}
	for _, finding := range r.numbers.of(key) {
		f.Numbers = append(f.Numbers, findings.ForItsUsers(service, finding))
	}
	var err error
	if f.Slices, err = byIndex[*discoveryv1.EndpointSlice](r.caches.slices, slicesByService, key.String()); err != nil {
		return nil, err
	}
	if f.NetworkPolicies, err = byIndex[*networkingv1.NetworkPolicy](r.caches.policies, toolscache.NamespaceIndex, key.Namespace); err != nil {
		return nil, err
	}
	if len(service.Spec.Selector) > 0 {
		if f.Selected, err = r.caches.pods.selected(service, r.services.Anchor(key)); err != nil {
			return nil, err
		}
	}
	f.Nodes = r.caches.nodesFor(service, f.Selected)
	f.Endpoints, err = r.endpoints(ctx, f, memory)
	return f, err
}

// target is the Service that an ExternalName stands for, if it is one of this
// cluster and exists, which DNS tells everybody. Those of nearly its name are not
// told: they may be of a namespace that the reader knows nothing of.
func (c diagnosisCaches) target(service *corev1.Service, zone string) []types.NamespacedName {
	target, inside := targetOf(service, zone)
	if _, found, err := c.services.GetByKey(target.String()); !inside || err != nil || !found {
		return nil
	}
	return []types.NamespacedName{target}
}

// targetOf reads the name that an ExternalName stands for. In front of a headless
// Service's there may be that of a pod.
func targetOf(service *corev1.Service, zone string) (target types.NamespacedName, inside bool) {
	name := strings.TrimSuffix(strings.ToLower(service.Spec.ExternalName), ".")
	name, inside = strings.CutSuffix(name, ".svc."+cmp.Or(zone, diagnosis.DefaultZone))
	parts := strings.Split(name, ".")
	if !inside || len(parts) < 2 {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: parts[len(parts)-1], Name: parts[len(parts)-2]}, true
}

// maxDiagnosisOthers bounds the pods among which those that were meant are looked
// for, as `switchyard why` does.
const maxDiagnosisOthers = 2000

// others are the namespace's pods, where a selector matches none. They make the
// message better, not the verdict.
func (c diagnosisCaches) others(f *diagnosis.Facts) ([]*corev1.Pod, error) {
	if len(f.Selected) > 0 || len(f.Service.Spec.Selector) == 0 {
		return nil, nil
	}
	pods, err := byIndex[*corev1.Pod](c.pods.indexer, toolscache.NamespaceIndex, f.Name.Namespace)
	return pods[:min(len(pods), maxDiagnosisOthers)], err
}

// nodesFor are all where connections have to stay on a node, else those of the
// pods. There is always one if the cluster has one, since none stands for nodes
// that could not be seen.
func (c diagnosisCaches) nodesFor(service *corev1.Service, pods []*corev1.Pod) []*corev1.Node {
	if localPolicy(service) {
		return objects[*corev1.Node](c.nodes.List())
	}
	var nodes []*corev1.Node
	known := map[string]bool{}
	for _, pod := range pods {
		if name := pod.Spec.NodeName; name != "" && !known[name] {
			known[name] = true
			if object, found, err := c.nodes.GetByKey(name); err == nil && found {
				nodes = append(nodes, object.(*corev1.Node))
			}
		}
	}
	if len(nodes) == 0 && len(known) > 0 {
		nodes = objects[*corev1.Node](c.nodes.List())
	}
	return nodes
}

func localPolicy(service *corev1.Service) bool {
	internal := service.Spec.InternalTrafficPolicy
	return service.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal ||
		internal != nil && *internal == corev1.ServiceInternalTrafficPolicyLocal
}

// endpointsPace is the shortest time between two looks at a large Endpoints object.
const endpointsPace = time.Minute

// endpoints are read from the API server, and only where they can matter: without a
// selector and endpoints, as an object that nobody mirrors, and with more endpoints
// than they hold. No cache of them all is worth that.
func (r *DiagnosisReconciler) endpoints(ctx context.Context, f *diagnosis.Facts, memory *diagnosisMemory) (*corev1.Endpoints, error) {
	count := 0
	for _, slice := range f.Slices {
		count += len(slice.Endpoints)
	}
	large := count > maxEndpointsAddresses
	if !large && (count > 0 || len(f.Service.Spec.Selector) > 0) {
		memory.endpoints, memory.endpointsRead = nil, time.Time{}
		return nil, nil
	}
	if large && f.Now.Sub(memory.endpointsRead) < endpointsPace {
		return memory.endpoints, nil
	}
	endpoints := &corev1.Endpoints{}
	switch err := r.Live.Get(ctx, f.Name, endpoints); {
	case apierrors.IsNotFound(err):
		endpoints = nil
	case err != nil:
		return nil, fmt.Errorf("reading Endpoints %s: %w", f.Name, err)
	}
	if large {
		memory.endpoints, memory.endpointsRead = endpoints, f.Now
	}
	return endpoints, nil
}

func byIndex[T any](indexer toolscache.Indexer, index, value string) ([]T, error) {
	found, err := indexer.ByIndex(index, value)
	if err != nil {
		return nil, fmt.Errorf("reading the cache: %w", err)
	}
	return objects[T](found), nil
}

func objects[T any](found []any) []T {
	list := make([]T, 0, len(found))
	for _, object := range found {
		if typed, ok := object.(T); ok {
			list = append(list, typed)
		}
	}
	return list
}

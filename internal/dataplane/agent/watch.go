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

package agent

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=servicecidrs,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch

// Objects that are of no use here are left out by the server. The filters
// repeat some of what package model would ignore anyway: with thousands of
// headless Services most slices are not worth decoding on every node.
const (
	servicesWithVIPs = "spec.clusterIP!=" + corev1.ClusterIPNone
	withoutProxyName = "!" + model.LabelServiceProxyName
	notHeadless      = "!" + corev1.IsHeadlessService
)

// source is one resource that we follow.
type source struct {
	name string
	run  func(ctx context.Context)
	// full is true when everything of the first list has reached the store.
	full func() bool
}

// watch follows the API until ctx ends; it returns true when everything that
// exists has reached the store, false if ctx ended before.
func (a *Agent) watch(ctx context.Context) bool {
	sources := a.sources(ctx)
	for _, source := range sources {
		go source.run(ctx)
	}
	log := log.FromContext(ctx)
	waiting := time.NewTicker(10 * time.Second)
	defer waiting.Stop()
	for _, source := range sources {
		for !source.full() {
			select {
			case <-ctx.Done():
				return false
			case <-waiting.C:
				log.Info("Waiting for the API server to list everything, nothing is programmed before", "resource", source.name)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	return true
}

func (a *Agent) sources(ctx context.Context) []source {
	core, discovery := a.Client.CoreV1(), a.Client.DiscoveryV1()
	ours := withoutProxyName
	if name := a.Store.ProxyName; name != "" {
		ours = model.LabelServiceProxyName + "=" + name
	}
	return []source{
		follow(a, "Services", core.Services(metav1.NamespaceAll), metav1.ListOptions{FieldSelector: servicesWithVIPs, LabelSelector: ours},
			newSink(func(svc *corev1.Service) { a.setService(ctx, svc) },
				func(namespace, name string) { a.deleteService(ctx, namespace, name) })),
		follow(a, "EndpointSlices", discovery.EndpointSlices(metav1.NamespaceAll), metav1.ListOptions{LabelSelector: notHeadless},
			newSink(func(eps *discoveryv1.EndpointSlice) { a.setSlice(ctx, eps) },
				func(namespace, name string) { a.deleteSlice(ctx, namespace, name) })),
		follow(a, "Node "+a.NodeName, core.Nodes(), metav1.ListOptions{FieldSelector: "metadata.name=" + a.NodeName},
			newSink(func(node *corev1.Node) { a.setNode(ctx, node) },
				func(_, _ string) { a.deleteNode() })),
		a.serviceCIDRs(ctx),
	}
}

// lister is a client's part for one resource.
type lister[L runtime.Object] interface {
	List(ctx context.Context, options metav1.ListOptions) (L, error)
	Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

// watchPause is how long the Reflector waits after a watch or list has failed;
// the jitter keeps the nodes of a cluster from coming back all at once.
var watchPause = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 1, Steps: 5, Cap: 10 * time.Second}

// follow makes a source of the objects that match filter.
func follow[T any, L runtime.Object](a *Agent, name string, client lister[L], filter metav1.ListOptions, to *sink[T]) source {
	filtered := func(o metav1.ListOptions) metav1.ListOptions {
		o.FieldSelector, o.LabelSelector = filter.FieldSelector, filter.LabelSelector
		return o
	}
	listWatch := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return client.List(ctx, filtered(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, filtered(o))
		},
	}, a.Client)
	return source{name: name, full: to.full.Load, run: func(ctx context.Context) {
		pause := watchPause
		options := cache.ReflectorOptions{Name: name, Backoff: &pause}
		cache.NewReflectorWithOptions(listWatch, new(T), to, options).RunWithContext(ctx)
	}}
}

func (a *Agent) setService(ctx context.Context, svc *corev1.Service) {
	a.Metrics.ServiceChanges.Inc()
	if a.WithoutExternalIPs {
		svc.Spec.ExternalIPs = nil
	}
	a.change(ctx, func(s *model.Store) { s.SetService(svc) }, serviceEvent)
}

func (a *Agent) deleteService(ctx context.Context, namespace, name string) {
	a.Metrics.ServiceChanges.Inc()
	a.change(ctx, func(s *model.Store) { s.DeleteService(namespace, name) }, serviceEvent)
}

func (a *Agent) setSlice(ctx context.Context, eps *discoveryv1.EndpointSlice) {
	a.Metrics.EndpointChanges.Inc()
	service := types.NamespacedName{Namespace: eps.Namespace, Name: eps.Labels[discoveryv1.LabelServiceName]}
	a.change(ctx, func(s *model.Store) { s.SetSlice(eps) }, event{sliceEvent, familyOf(eps), trigger{service, a.triggers.of(eps)}})
}

func (a *Agent) deleteSlice(ctx context.Context, namespace, name string) {
	a.Metrics.EndpointChanges.Inc()
	a.triggers.forget(namespace, name)
	a.change(ctx, func(s *model.Store) { s.DeleteSlice(namespace, name) }, event{of: sliceEvent})
}

func familyOf(eps *discoveryv1.EndpointSlice) model.Family {
	if eps.AddressType == discoveryv1.AddressTypeIPv6 {
		return model.IPv6
	}
	return model.IPv4
}

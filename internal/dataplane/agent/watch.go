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
	coreinformers "k8s.io/client-go/informers/core/v1"
	discoveryinformers "k8s.io/client-go/informers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch

// Objects that are of no use here are left out by the server. The filters
// repeat some of what package model would ignore anyway: with thousands of
// headless Services most slices are not worth decoding on every node.
const (
	servicesWithVIPs = "spec.clusterIP!=" + corev1.ClusterIPNone
	notForeign       = "!" + model.LabelServiceProxyName
	notHeadless      = "!" + corev1.IsHeadlessService + "," + notForeign
)

// watch follows the API until ctx ends; it returns true when everything that
// exists has reached the store, false if ctx ended before.
func (a *Agent) watch(ctx context.Context) bool {
	sources := a.sources(ctx)
	for _, source := range sources {
		go source.informer.RunWithContext(ctx)
	}
	log := log.FromContext(ctx)
	waiting := time.NewTicker(10 * time.Second)
	defer waiting.Stop()
	for _, source := range sources {
		for !source.handled() {
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

// source is one resource we follow.
type source struct {
	name     string
	informer cache.SharedIndexInformer
	// handled is true when all objects of the first list have been handled.
	handled func() bool
}

func (a *Agent) sources(ctx context.Context) []source {
	everywhere, none := metav1.NamespaceAll, cache.Indexers{}
	services := coreinformers.NewFilteredServiceInformer(a.Client, everywhere, 0, none, func(o *metav1.ListOptions) {
		o.FieldSelector, o.LabelSelector = servicesWithVIPs, notForeign
	})
	slices := discoveryinformers.NewFilteredEndpointSliceInformer(a.Client, everywhere, 0, none, func(o *metav1.ListOptions) {
		o.LabelSelector = notHeadless
	})
	node := coreinformers.NewFilteredNodeInformer(a.Client, 0, none, func(o *metav1.ListOptions) {
		o.FieldSelector = "metadata.name=" + a.NodeName
	})
	return []source{
		a.follow(ctx, "Services", services, handlers(
			func(_, svc *corev1.Service) { a.setService(ctx, svc) },
			func(svc *corev1.Service) { a.deleteService(ctx, svc) },
		)),
		a.follow(ctx, "EndpointSlices", slices, handlers(
			func(before, eps *discoveryv1.EndpointSlice) { a.setSlice(ctx, before, eps) },
			func(eps *discoveryv1.EndpointSlice) { a.deleteSlice(ctx, eps) },
		)),
		a.follow(ctx, "Node "+a.NodeName, node, handlers(
			func(_, node *corev1.Node) { a.setNode(ctx, node) },
			func(*corev1.Node) { a.deleteNode() },
		)),
	}
}

// follow prepares an informer that has not started; none of this can fail
// then.
func (a *Agent) follow(ctx context.Context, name string, informer cache.SharedIndexInformer, handler cache.ResourceEventHandler) source {
	log := log.FromContext(ctx).WithValues("resource", name)
	_ = informer.SetTransform(trim)
	_ = informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		cache.DefaultWatchErrorHandler(ctx, r, err)
		if ctx.Err() == nil {
			log.V(2).Info("The watch has ended and is begun again, the rules stay as they are", "reason", err.Error())
		}
	})
	registration, _ := informer.AddEventHandler(handler)
	return source{name: name, informer: informer, handled: registration.HasSynced}
}

// handlers makes an event handler of set, which gets what was there before or
// nil, and remove.
func handlers[T any](set func(before, now *T), remove func(*T)) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(now any) { set(nil, now.(*T)) },
		UpdateFunc: func(before, now any) { set(before.(*T), now.(*T)) },
		DeleteFunc: func(last any) {
			if missed, ok := last.(cache.DeletedFinalStateUnknown); ok {
				last = missed.Obj // it went while the watch was broken
			}
			if object, ok := last.(*T); ok {
				remove(object)
			}
		},
	}
}

func (a *Agent) setService(ctx context.Context, svc *corev1.Service) {
	a.Metrics.ServiceChanges.Inc()
	a.change(ctx, func(s *model.Store) { s.SetService(svc) }, time.Time{}, 0)
}

func (a *Agent) deleteService(ctx context.Context, svc *corev1.Service) {
	a.Metrics.ServiceChanges.Inc()
	a.change(ctx, func(s *model.Store) { s.DeleteService(svc.Namespace, svc.Name) }, time.Time{}, 0)
}

func (a *Agent) setSlice(ctx context.Context, before, eps *discoveryv1.EndpointSlice) {
	a.Metrics.EndpointChanges.Inc()
	a.change(ctx, func(s *model.Store) { s.SetSlice(eps) }, a.trigger(before, eps), familyOf(eps))
}

func (a *Agent) deleteSlice(ctx context.Context, eps *discoveryv1.EndpointSlice) {
	a.Metrics.EndpointChanges.Inc()
	a.change(ctx, func(s *model.Store) { s.DeleteSlice(eps.Namespace, eps.Name) }, time.Time{}, 0)
}

// trigger is when what caused the change of a slice happened, zero if nothing
// new did or it was before our time.
func (a *Agent) trigger(before, eps *discoveryv1.EndpointSlice) time.Time {
	text := eps.Annotations[corev1.EndpointsLastChangeTriggerTime]
	if before != nil && before.Annotations[corev1.EndpointsLastChangeTriggerTime] == text {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Before(a.started) {
		return time.Time{}
	}
	return at
}

func familyOf(eps *discoveryv1.EndpointSlice) model.Family {
	if eps.AddressType == discoveryv1.AddressTypeIPv6 {
		return model.IPv6
	}
	return model.IPv4
}

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
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/follow"
)

// +kubebuilder:rbac:groups="",resources=services,verbs=list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=servicecidrs,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch

// Objects that are of no use here are left out by the server. The filters
// repeat some of what package model would ignore anyway: with thousands of
// headless Services most slices are not worth decoding on every node.
const (
	servicesWithVIPs = "spec.clusterIP!=" + corev1.ClusterIPNone
	withoutProxyName = "!" + model.LabelServiceProxyName
	notHeadless      = "!" + corev1.IsHeadlessService
)

// watch follows the API until ctx ends; it returns true when everything that
// exists has reached the store, false if ctx ended before.
func (a *Agent) watch(ctx context.Context) bool {
	sources := a.sources(ctx)
	for _, source := range sources {
		go source.Run(ctx)
	}
	log := log.FromContext(ctx)
	waiting := time.NewTicker(10 * time.Second)
	defer waiting.Stop()
	for _, source := range sources {
		for !source.Full() {
			select {
			case <-ctx.Done():
				return false
			case <-waiting.C:
				log.Info("Waiting for the API server to list everything, nothing is programmed before", "resource", source.Name)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	return true
}

func (a *Agent) sources(ctx context.Context) []follow.Source {
	core, discovery := a.Client.CoreV1(), a.Client.DiscoveryV1()
	ours := withoutProxyName
	if name := a.Store.ProxyName; name != "" {
		ours = model.LabelServiceProxyName + "=" + name
	}
	return []follow.Source{
		follow.New(a.Client, "Services", core.Services(metav1.NamespaceAll),
			metav1.ListOptions{FieldSelector: servicesWithVIPs, LabelSelector: ours},
			func(svc *corev1.Service) { a.setService(ctx, svc) },
			func(namespace, name string) { a.deleteService(ctx, namespace, name) }),
		follow.New(a.Client, "EndpointSlices", discovery.EndpointSlices(metav1.NamespaceAll), metav1.ListOptions{LabelSelector: notHeadless},
			func(eps *discoveryv1.EndpointSlice) { a.setSlice(ctx, eps) },
			func(namespace, name string) { a.deleteSlice(ctx, namespace, name) }),
		follow.New(a.Client, "Node "+a.NodeName, core.Nodes(), metav1.ListOptions{FieldSelector: "metadata.name=" + a.NodeName},
			func(node *corev1.Node) { a.setNode(ctx, node) },
			func(_, _ string) { a.deleteNode() }),
		a.serviceCIDRs(ctx),
	}
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

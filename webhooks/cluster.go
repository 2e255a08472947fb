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

package webhooks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// +kubebuilder:rbac:groups="",resources=services;pods,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=servicecidrs,verbs=get;list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list

// Cluster is the World as the cluster has it: found in the cache by the indexes
// of SetupIndexes, and confirmed with the API server where it may refuse.
type Cluster struct {
	// Cached answers from memory, and may lag behind.
	Cached client.Reader
	// Live asks the API server.
	Live client.Reader
	// Names decides what a requester is told; nil tells every name.
	Names Namer
}

var _ World = &Cluster{}

// ServicesByFrontend implements FrontendReader. What it returns holds the
// frontend now, not only in the cache.
func (c *Cluster) ServicesByFrontend(ctx context.Context, frontend Frontend) ([]*corev1.Service, error) {
	return c.confirmed(ctx, client.MatchingFields{indexFrontend: frontend.String()}, func(svc *corev1.Service) bool {
		return heldFrontends(svc)[frontend]
	})
}

// ServicesByClusterIP implements ClusterAddressReader, confirmed likewise.
func (c *Cluster) ServicesByClusterIP(ctx context.Context, addr netip.Addr) ([]*corev1.Service, error) {
	return c.confirmed(ctx, client.MatchingFields{indexClusterIP: addr.String()}, func(svc *corev1.Service) bool {
		return slices.Contains(clusterAddrs(svc), addr)
	})
}

// confirmed reads each Service that the cache names once more, live: someone
// who deletes a Service and creates its successor must not be refused because
// the watch has not delivered the deletion yet. Where many share what a rule
// forbids, because it only warns or came later, a few of them are enough.
func (c *Cluster) confirmed(ctx context.Context, where client.ListOption, holds func(*corev1.Service) bool) ([]*corev1.Service, error) {
	var cached corev1.ServiceList
	if err := c.Cached.List(ctx, &cached, where, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("looking up Services: %w", err)
	}
	var confirmed []*corev1.Service
	for i := range cached.Items {
		if len(confirmed) > maxFindings { // one more: the Service being changed may be among them
			break
		}
		key := client.ObjectKeyFromObject(&cached.Items[i])
		live := &corev1.Service{}
		switch err := c.Live.Get(ctx, key, live); {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, fmt.Errorf("confirming Service %s: %w", key, err)
		case holds(live):
			confirmed = append(confirmed, live)
		}
	}
	return confirmed, nil
}

// ServicesBySelector implements SelectorReader from the cache alone: at worst
// a warning is late.
func (c *Cluster) ServicesBySelector(ctx context.Context, namespace string, selector map[string]string) ([]*corev1.Service, error) {
	var list corev1.ServiceList
	err := c.Cached.List(ctx, &list, client.InNamespace(namespace),
		client.MatchingFields{indexSelector: selectorKey(selector)}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking up Services by selector: %w", err)
	}
	return pointers(list.Items), nil
}

// PodsBySelector implements SelectorReader: an index finds the pods with one of
// the selector's labels, the rest of the selector is compared.
func (c *Cluster) PodsBySelector(ctx context.Context, namespace string, selector map[string]string) ([]*corev1.Pod, error) {
	if len(selector) == 0 {
		return nil, nil
	}
	first := slices.Min(slices.Collect(maps.Keys(selector)))
	var list corev1.PodList
	err := c.Cached.List(ctx, &list, client.InNamespace(namespace),
		client.MatchingFields{indexPodLabel: labelKey(first, selector[first])},
		client.MatchingLabelsSelector{Selector: labels.SelectorFromSet(selector)}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking up pods: %w", err)
	}
	return pointers(list.Items), nil
}

// ServiceCIDRs implements ClusterAddressReader. A cluster has a handful. One
// that is being deleted still counts: its addresses are still in use.
func (c *Cluster) ServiceCIDRs(ctx context.Context) ([]ServiceCIDR, error) {
	var list networkingv1.ServiceCIDRList
	if err := c.Cached.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing ServiceCIDRs: %w", err)
	}
	var cidrs []ServiceCIDR
	var errs []error
	for _, object := range list.Items {
		for _, text := range object.Spec.CIDRs {
			prefix, err := netip.ParsePrefix(text)
			errs = append(errs, err)
			cidrs = append(cidrs, ServiceCIDR{Name: object.Name, Prefix: prefix})
		}
	}
	return cidrs, errors.Join(errs...)
}

// APIServers implements ClusterAddressReader with a live read of one object.
// A cache would hold every EndpointSlice of the cluster for it, and external
// IPs are rarely set.
func (c *Cluster) APIServers(ctx context.Context) ([]netip.AddrPort, error) {
	var list discoveryv1.EndpointSliceList
	err := c.Live.List(ctx, &list, client.InNamespace(kubernetesService.Namespace),
		client.MatchingLabels{discoveryv1.LabelServiceName: kubernetesService.Name})
	if err != nil {
		return nil, fmt.Errorf("reading the API server's EndpointSlices: %w", err)
	}
	var servers []netip.AddrPort
	for i := range list.Items {
		for _, backend := range BackendsOfSlice(&list.Items[i]) {
			for _, frontend := range backend.Ports {
				servers = append(servers, netip.AddrPortFrom(frontend.Addr, uint16(frontend.Port)))
			}
		}
	}
	return servers, nil
}

// NameOf implements Namer.
func (c *Cluster) NameOf(ctx context.Context, svc *corev1.Service) string {
	if c.Names != nil {
		return c.Names.NameOf(ctx, svc)
	}
	return "Service " + client.ObjectKeyFromObject(svc).String()
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}

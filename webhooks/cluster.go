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
	"cmp"
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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// +kubebuilder:rbac:groups="",resources=services;pods;nodes;namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=servicecidrs,verbs=list;watch
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
	// Domain is the cluster's DNS domain; cluster.local when empty.
	Domain string
	// LoadBalancerClasses are known to be served, beside those that have been.
	LoadBalancerClasses []string
	// RequirePools are the uses for which an address must be in a pool also
	// where there is none.
	RequirePools []v1alpha1.AddressUse
	// NodePorts is the range that the API server gives node ports from; its default
	// when empty.
	NodePorts allocator.PortSpan

	pools    poolCache
	prefixes podPrefixes
}

var _ World = &Cluster{}

// ServicesByVIP implements VIPReader. What it returns holds the address, or waits
// for it, and serves what was asked for now, not only in the cache.
func (c *Cluster) ServicesByVIP(ctx context.Context, addr netip.Addr, serves func(*corev1.Service) bool) ([]*corev1.Service, error) {
	return c.confirmedServices(ctx, client.MatchingFields{indexVIP: addr.String()}, func(svc *corev1.Service) bool {
		return serves(svc) && wantedAddrs(svc)[addr]
	})
}

// ServicesByClusterIP implements ClusterAddressReader, confirmed likewise.
func (c *Cluster) ServicesByClusterIP(ctx context.Context, addr netip.Addr) ([]*corev1.Service, error) {
	return c.confirmedServices(ctx, client.MatchingFields{indexClusterIP: addr.String()}, func(svc *corev1.Service) bool {
		return slices.Contains(clusterAddrs(svc), addr)
	})
}

// ServicesByNodePort implements NodePortReader, confirmed likewise.
func (c *Cluster) ServicesByNodePort(ctx context.Context, port int32) ([]*corev1.Service, error) {
	return c.confirmedServices(ctx, client.MatchingFields{indexNodePort: portNumber(port).String()}, func(svc *corev1.Service) bool {
		return slices.Contains(heldPorts(svc), port)
	})
}

// NodePortRange implements NodePortReader.
func (c *Cluster) NodePortRange() allocator.PortSpan {
	return cmp.Or(c.NodePorts, allocator.DefaultNodePorts)
}

func (c *Cluster) confirmedServices(ctx context.Context, where client.ListOption, holds func(*corev1.Service) bool) ([]*corev1.Service, error) {
	var list corev1.ServiceList
	if err := c.list(ctx, &list, where); err != nil {
		return nil, fmt.Errorf("looking up Services: %w", err)
	}
	return confirmed(ctx, c.Live, list.Items, func() *corev1.Service { return &corev1.Service{} }, holds)
}

// DefaultClusterDomain is the cluster's DNS domain unless it was told otherwise.
const DefaultClusterDomain = "cluster.local"

// ClusterDomain implements ServiceReader.
func (c *Cluster) ClusterDomain() string { return cmp.Or(c.Domain, DefaultClusterDomain) }

// ServiceByName implements ServiceReader with a live read where the cache has
// such a Service; the few that are newer than the cache are missed.
func (c *Cluster) ServiceByName(ctx context.Context, name types.NamespacedName) (*corev1.Service, error) {
	svc := &corev1.Service{}
	for _, reader := range []client.Reader{c.Cached, c.Live} {
		if err := reader.Get(ctx, name, svc); apierrors.IsNotFound(err) {
			return nil, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading Service %s: %w", name, err)
		}
	}
	return svc, nil
}

// ServicesBySharingKey implements ServiceReader from the cache alone: at worst a
// warning is late.
func (c *Cluster) ServicesBySharingKey(ctx context.Context, key string) ([]*corev1.Service, error) {
	var list corev1.ServiceList
	if err := c.list(ctx, &list, client.MatchingFields{indexSharingKey: key}); err != nil {
		return nil, fmt.Errorf("looking up Services by sharing key: %w", err)
	}
	return pointers(list.Items), nil
}

// LoadBalancerClassServed implements ServiceReader: a class is served when it was
// configured so, or when a Service of it has an address.
func (c *Cluster) LoadBalancerClassServed(ctx context.Context, class string) (bool, error) {
	if slices.Contains(c.LoadBalancerClasses, class) {
		return true, nil
	}
	var list corev1.ServiceList
	if err := c.list(ctx, &list, client.MatchingFields{indexServedClass: class}, client.Limit(1)); err != nil {
		return false, fmt.Errorf("looking up Services by load-balancer class: %w", err)
	}
	return len(list.Items) > 0, nil
}

// list asks the cache, unless the time for the answer is over.
func (c *Cluster) list(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.Cached.List(ctx, list, append(options, client.UnsafeDisableDeepCopy)...)
}

// ServicesBySelector implements SelectorReader from the cache alone: at worst
// a warning is late.
func (c *Cluster) ServicesBySelector(ctx context.Context, namespace string, selector map[string]string) ([]*corev1.Service, error) {
	var list corev1.ServiceList
	err := c.list(ctx, &list, client.InNamespace(namespace), client.MatchingFields{indexSelector: selectorKey(selector)})
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
	err := c.list(ctx, &list, client.InNamespace(namespace),
		client.MatchingFields{indexPodLabel: labelKey(first, selector[first])},
		client.MatchingLabelsSelector{Selector: labels.SelectorFromSet(selector)})
	if err != nil {
		return nil, fmt.Errorf("looking up pods: %w", err)
	}
	return pointers(list.Items), nil
}

// ServiceCIDRs implements ClusterAddressReader. A cluster has a handful. One
// that is being deleted still counts: its addresses are still in use.
func (c *Cluster) ServiceCIDRs(ctx context.Context) ([]ServiceCIDR, error) {
	var list networkingv1.ServiceCIDRList
	if err := c.list(ctx, &list); err != nil {
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
// IPs are rarely set. The API server answers from its memory (resource version
// 0): a list of this very moment waits until etcd tells it, every 100 ms, that
// nothing has changed since (KEP-2340).
func (c *Cluster) APIServers(ctx context.Context) ([]netip.AddrPort, error) {
	var list discoveryv1.EndpointSliceList
	err := c.Live.List(ctx, &list, client.InNamespace(kubernetesService.Namespace),
		client.MatchingLabels{discoveryv1.LabelServiceName: kubernetesService.Name},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}})
	if err != nil {
		return nil, fmt.Errorf("reading the API server's EndpointSlices: %w", err)
	}
	var servers []netip.AddrPort
	for i := range list.Items {
		for _, backend := range BackendsOfSlice(&list.Items[i]) {
			for port := range backend.Ports {
				servers = append(servers, netip.AddrPortFrom(backend.Addr, uint16(port.Port)))
			}
		}
	}
	return servers, nil
}

// maxConfirmations bounds the reads of one look-up.
const maxConfirmations = 5 * maxFindings

// confirmed reads each object that the cache names once more, live: someone
// who deletes a Service and creates its successor must not be refused because
// the watch has not delivered the deletion yet. Where many share what a rule
// forbids, because it only warns or came later, a few of them are enough, which are
// read at the same time. Where very many have just gone, as the pods of a DaemonSet,
// the rest is not read.
func confirmed[T any, P interface {
	*T
	client.Object
}](ctx context.Context, live client.Reader, cached []T, fresh func() P, holds func(P) bool) ([]P, error) {
	var holders []P
	for i := range cached {
		if holds(&cached[i]) {
			holders = append(holders, &cached[i])
		}
	}
	var confirmed []P
	left := holders[:min(len(holders), maxConfirmations)]
	for len(left) > 0 && len(confirmed) < maxFindings {
		some := left[:min(len(left), maxFindings-len(confirmed))]
		left = left[len(some):]
		for _, again := range sideBySide(some, func(object P) reading[P] { return readAgain(ctx, live, object, fresh(), holds) }) {
			if again.err != nil {
				return nil, again.err
			}
			if again.holds {
				confirmed = append(confirmed, again.object)
			}
		}
	}
	if len(confirmed) == 0 && len(holders) > maxConfirmations {
		return nil, fmt.Errorf("confirming %T: of %d the first %d are gone or changed", cached, len(holders), maxConfirmations)
	}
	return confirmed, nil
}

// reading is an object as it is now.
type reading[P any] struct {
	object P
	holds  bool
	err    error
}

func readAgain[P client.Object](ctx context.Context, live client.Reader, cached, fresh P, holds func(P) bool) reading[P] {
	key := client.ObjectKeyFromObject(cached)
	err := live.Get(ctx, key, fresh)
	switch {
	case apierrors.IsNotFound(err):
		return reading[P]{}
	case err != nil:
		return reading[P]{err: fmt.Errorf("confirming %T %s: %w", fresh, key, err)}
	}
	return reading[P]{fresh, holds(fresh), nil}
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}

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
	"net/netip"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// VIPReader finds the Services that answer at an address from outside the
// ServiceCIDRs, which they have as an external IP or from a load balancer.
type VIPReader interface {
	// ServicesByVIP are those that also serve what is asked for, and those that
	// wait for the address among them.
	ServicesByVIP(ctx context.Context, addr netip.Addr, serves func(*corev1.Service) bool) ([]*corev1.Service, error)
}

// NodePortReader finds the Services that hold a port of every node.
type NodePortReader interface {
	// NodePortRange is where node ports are given from.
	NodePortRange() allocator.PortSpan
	ServicesByNodePort(ctx context.Context, port int32) ([]*corev1.Service, error)
}

// ServiceReader finds Services by what they are called.
type ServiceReader interface {
	// ClusterDomain ends the DNS names of Services, for example cluster.local.
	ClusterDomain() string
	// ServiceByName is the Service as it is now, nil where there is none.
	ServiceByName(ctx context.Context, name types.NamespacedName) (*corev1.Service, error)
	// ServicesBySharingKey are those of all namespaces with the key.
	ServicesBySharingKey(ctx context.Context, key string) ([]*corev1.Service, error)
	// LoadBalancerClassServed tells whether a controller is known to serve the class.
	LoadBalancerClassServed(ctx context.Context, class string) (bool, error)
}

// PoolReader knows who may use which number.
type PoolReader interface {
	Pools(ctx context.Context) (*Pools, error)
	// ReservationOf is nil where the number is not reserved.
	ReservationOf(ctx context.Context, number allocator.Number) (*allocator.Reservation, error)
	// PoolsRequired tells whether addresses for a use must be in a pool, also
	// where there is none.
	PoolsRequired(use v1alpha1.AddressUse) bool
}

// NodeReader finds nodes by what is theirs.
type NodeReader interface {
	// NodesByAddress are those that name the address in their status.
	NodesByAddress(ctx context.Context, addr netip.Addr) ([]*corev1.Node, error)
	// NodesByPodAddress are those with the address in spec.podCIDRs.
	NodesByPodAddress(ctx context.Context, addr netip.Addr) ([]*corev1.Node, error)
	// NodesByKubeletPort are those whose kubelet listens at the port.
	NodesByKubeletPort(ctx context.Context, port int32) ([]*corev1.Node, error)
	// Nodes are all of them, for ranges, which no index finds.
	Nodes(ctx context.Context) ([]*corev1.Node, error)
}

// PodReader finds scheduled pods by what they occupy.
type PodReader interface {
	// PodsByIP are those with a network of their own that have the address in it.
	PodsByIP(ctx context.Context, addr netip.Addr) ([]*corev1.Pod, error)
	// NamespaceHasPod tells whether a pod of the namespace is known to have the
	// address. It may lag behind.
	NamespaceHasPod(ctx context.Context, namespace string, addr netip.Addr) (bool, error)
	// PodsOfNamespaceByIP are the namespace's, as they are at this moment, by
	// their first address.
	PodsOfNamespaceByIP(ctx context.Context, namespace string, addr netip.Addr) ([]*corev1.Pod, error)
	// PodsByHostPort are those that listen at the port of their node.
	PodsByHostPort(ctx context.Context, port PortKey) ([]*corev1.Pod, error)
}

// ClusterAddressReader knows the addresses that belong to the cluster itself.
type ClusterAddressReader interface {
	// ServiceCIDRs are the ranges ClusterIPs come from, by their object's name.
	ServiceCIDRs(ctx context.Context) ([]ServiceCIDR, error)
	// ServicesByClusterIP are those that hold the address as a ClusterIP.
	ServicesByClusterIP(ctx context.Context, addr netip.Addr) ([]*corev1.Service, error)
	// APIServers are where the API server answers: the endpoints of
	// default/kubernetes.
	APIServers(ctx context.Context) ([]netip.AddrPort, error)
}

// SelectorReader finds what a selector has to do with.
type SelectorReader interface {
	// ServicesBySelector are the namespace's Services with this very selector.
	ServicesBySelector(ctx context.Context, namespace string, selector map[string]string) ([]*corev1.Service, error)
	// PodsBySelector are the namespace's pods that the selector matches.
	PodsBySelector(ctx context.Context, namespace string, selector map[string]string) ([]*corev1.Pod, error)
}

// Namer says what another object is called in a message: its name, or less to a
// requester who may not read it.
type Namer interface {
	NameOf(ctx context.Context, svc *corev1.Service) string
	// PodNameOf also tells whether it is the name.
	PodNameOf(ctx context.Context, pod *corev1.Pod) (name string, told bool)
	NodeNameOf(ctx context.Context, node *corev1.Node) string
	// RangeNameOf names an AddressPool, a PortPool or a ServiceCIDR.
	RangeNameOf(ctx context.Context, kind, name string) string
}

// World is everything that the rules read, each of them only a part.
type World interface {
	VIPReader
	NodePortReader
	ServiceReader
	ClusterAddressReader
	SelectorReader
	NodeReader
	PodReader
	PoolReader
	NamespaceReader
	Namer
}

// once reads what is the same for every address and port of a change once.
type once struct {
	World
	cidrs   func() ([]ServiceCIDR, error)
	servers func() ([]netip.AddrPort, error)
	pools   func() (*Pools, error)
}

// readOnce is the world of one change, which one goroutine judges.
func readOnce(world World) World { return &once{World: world} }

// ServiceCIDRs implements ClusterAddressReader.
func (o *once) ServiceCIDRs(ctx context.Context) ([]ServiceCIDR, error) {
	if o.cidrs == nil {
		o.cidrs = sync.OnceValues(func() ([]ServiceCIDR, error) { return o.World.ServiceCIDRs(ctx) })
	}
	return o.cidrs()
}

// APIServers implements ClusterAddressReader.
func (o *once) APIServers(ctx context.Context) ([]netip.AddrPort, error) {
	if o.servers == nil {
		o.servers = sync.OnceValues(func() ([]netip.AddrPort, error) { return o.World.APIServers(ctx) })
	}
	return o.servers()
}

// Pools implements PoolReader.
func (o *once) Pools(ctx context.Context) (*Pools, error) {
	if o.pools == nil {
		o.pools = sync.OnceValues(func() (*Pools, error) { return o.World.Pools(ctx) })
	}
	return o.pools()
}

// ServiceCIDR is one range of a ServiceCIDR object (KEP-1880).
type ServiceCIDR struct {
	Name   string
	Prefix netip.Prefix
}

// ServiceChange is one write of a Service, of its spec or of its status.
type ServiceChange struct {
	// Old is nil when the Service is being created.
	Old *corev1.Service
	New *corev1.Service
}

// is tells whether a Service is the one being changed.
func (c ServiceChange) is(svc *corev1.Service) bool {
	return svc.Namespace == c.New.Namespace && svc.Name == c.New.Name
}

// others are the Services of a list that are not the one being changed.
func (c ServiceChange) others(list []*corev1.Service) []*corev1.Service {
	return slices.DeleteFunc(slices.Clone(list), c.is)
}

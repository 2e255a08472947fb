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

	corev1 "k8s.io/api/core/v1"
)

// FrontendReader finds the Services that serve an address and port from
// outside the ServiceCIDRs, as an external IP or as a load-balancer address.
type FrontendReader interface {
	ServicesByFrontend(ctx context.Context, frontend Frontend) ([]*corev1.Service, error)
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

// Namer says what another Service is called in a message: its name, or less to
// a requester who may not read it.
type Namer interface {
	NameOf(ctx context.Context, svc *corev1.Service) string
}

// World is everything that the rules read, each of them only a part.
type World interface {
	FrontendReader
	ClusterAddressReader
	SelectorReader
	Namer
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

// others are the Services of a list that are not the one being changed.
func (c ServiceChange) others(list []*corev1.Service) []*corev1.Service {
	var others []*corev1.Service
	for _, svc := range list {
		if svc.Namespace != c.New.Namespace || svc.Name != c.New.Name {
			others = append(others, svc)
		}
	}
	return others
}

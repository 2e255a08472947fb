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

package trace

import (
	"context"
	"fmt"
	"net/netip"

	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"switchyard.dev/switchyard/internal/balancer"
	"switchyard.dev/switchyard/internal/dataplane/render"
)

// Objects are those of a cluster that connections depend on.
type Objects struct {
	Services     []corev1.Service
	Slices       []discoveryv1.EndpointSlice
	Nodes        []corev1.Node
	Pods         []corev1.Pod
	ServiceCIDRs []networkingv1.ServiceCIDR
	// Announcers are the nodes that answer for load balancers' addresses, as far as
	// that may be read.
	Announcers map[netip.Addr]string
	// Unread says what could not be read although it may exist, and what is
	// taken for granted for that.
	Unread []string
}

// Read lists them all, at once. As for the agent, ServiceCIDRs need not exist
// nor be allowed to read. The claims of addresses are in the manager's namespace,
// which is system. The error says which kind it was.
func Read(ctx context.Context, client kubernetes.Interface, system string) (o Objects, err error) {
	lists, ctx := errgroup.WithContext(ctx)
	var all metav1.ListOptions
	lists.Go(func() error {
		list, err := client.CoreV1().Services("").List(ctx, all)
		return keep("Services", err, func() { o.Services = list.Items })
	})
	lists.Go(func() error {
		list, err := client.DiscoveryV1().EndpointSlices("").List(ctx, all)
		return keep("EndpointSlices", err, func() { o.Slices = list.Items })
	})
	lists.Go(func() error {
		list, err := client.CoreV1().Nodes().List(ctx, all)
		return keep("Nodes", err, func() { o.Nodes = list.Items })
	})
	lists.Go(func() error {
		list, err := client.CoreV1().Pods("").List(ctx, all)
		return keep("Pods", err, func() { o.Pods = list.Items })
	})
	lists.Go(func() error {
		list, err := client.NetworkingV1().ServiceCIDRs().List(ctx, all)
		switch {
		case apierrors.IsNotFound(err): // before Kubernetes 1.33
			return nil
		case apierrors.IsForbidden(err):
			o.Unread = append(o.Unread, fmt.Sprintf("no connection is dropped for being to an unallocated ClusterIP, as the ServiceCIDRs are not known (%v)", err))
			return nil
		}
		return keep("ServiceCIDRs", err, func() { o.ServiceCIDRs = list.Items })
	})
	lists.Go(func() error {
		list, err := client.CoordinationV1().Leases(system).List(ctx, metav1.ListOptions{LabelSelector: balancer.AddressLabel})
		if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) { // so the node has to be said
			return nil
		}
		return keep("claims of addresses", err, func() { o.Announcers = announcers(list.Items) })
	})
	if err := lists.Wait(); err != nil {
		return Objects{}, err
	}
	return o, nil
}

func announcers(leases []coordinationv1.Lease) map[netip.Addr]string {
	nodes := map[netip.Addr]string{}
	for i := range leases {
		if claim, err := balancer.ClaimOf(&leases[i]); err == nil && leases[i].Spec.HolderIdentity != nil {
			nodes[claim.Addr] = *leases[i].Spec.HolderIdentity
		}
	}
	return nodes
}

func keep(kind string, err error, take func()) error {
	if err != nil {
		return fmt.Errorf("listing %s: %w", kind, err)
	}
	take()
	return nil
}

// rendered are the objects as the agent's own packages take them.
func (o Objects) rendered(withoutExternalIPs bool) render.Objects {
	var r render.Objects
	for i := range o.Services {
		svc := &o.Services[i]
		if withoutExternalIPs && len(svc.Spec.ExternalIPs) > 0 {
			svc = svc.DeepCopy()
			svc.Spec.ExternalIPs = nil
		}
		r.Services = append(r.Services, svc)
	}
	for i := range o.Slices {
		r.EndpointSlices = append(r.EndpointSlices, &o.Slices[i])
	}
	for i := range o.Nodes {
		r.Nodes = append(r.Nodes, &o.Nodes[i])
	}
	for i := range o.ServiceCIDRs {
		r.ServiceCIDRs = append(r.ServiceCIDRs, &o.ServiceCIDRs[i])
	}
	return r
}

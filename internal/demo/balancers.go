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

package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/balancer"
	"switchyard.dev/switchyard/internal/probe"
)

var balancerChecks = []Check{
	{"LoadBalancer: both families, from outside", balancedBoth},
	{"LoadBalancer: two Services share an address", sharedAddress},
	{"LoadBalancer: policy Local keeps the client's address", balancedLocal},
	{"LoadBalancer: a node is taken out, another answers", movedAddress},
	{"LoadBalancer: a node's agent hangs, another answers", failedOver},
	{"LoadBalancer: nobody answers once the Service is gone", releasedAddress},
	{"LoadBalancer: the Service comes back, to its address", returnedAddress},
}

// suiteNamespace is where the manager and the Leases of addresses are.
const suiteNamespace = "switchyard-system"

// balanced waits until a Service has n addresses and each is announced.
func (b *Bed) balanced(ctx context.Context, name string, n int) (ips, nodes []string, err error) {
	err = b.eventually(ctx, func() error {
		ips, nodes = nil, nil
		s, err := b.service(ctx, name)
		if err != nil {
			return err
		}
		for _, ingress := range s.Status.LoadBalancer.Ingress {
			node, err := b.announcer(ctx, ingress.IP)
			if err != nil {
				return err
			}
			ips, nodes = append(ips, ingress.IP), append(nodes, node)
		}
		if len(ips) != n {
			return fmt.Errorf("%s has the addresses %v, want %d: %v", name, ips, n, s.Status.Conditions)
		}
		return nil
	})
	return ips, nodes, err
}

// announcer is the node that answers for an address.
func (b *Bed) announcer(ctx context.Context, ip string) (string, error) {
	var leases coordinationv1.LeaseList
	if err := b.Client.List(ctx, &leases, client.InNamespace(suiteNamespace), client.HasLabels{balancer.AddressLabel}); err != nil {
		return "", err
	}
	for i := range leases.Items {
		claim, err := balancer.ClaimOf(&leases.Items[i])
		if holder := leases.Items[i].Spec.HolderIdentity; err == nil && claim.Addr.String() == ip && holder != nil {
			return *holder, nil
		}
	}
	return "", fmt.Errorf("no node answers for %s", ip)
}

func balancedBoth(ctx context.Context, b *Bed) (string, error) {
	pods, err := b.readyPods(ctx, "back", 2)
	if err != nil {
		return "", err
	}
	ips, nodes, err := b.balanced(ctx, "balanced-both", 2)
	if err != nil {
		return "", err
	}
	var seen []string
	for i, ip := range ips {
		if err := b.answers(ctx, Outside, at(ip, 80), pods); err != nil {
			return "", err
		}
		seen = append(seen, ip+" at "+nodes[i])
	}
	return strings.Join(seen, ", "), nil
}

func sharedAddress(ctx context.Context, b *Bed) (string, error) {
	var shared string
	for _, s := range []struct {
		name, app string
		port      int32
		pods      int
	}{{name: "shared-back", app: "back", port: 80, pods: 2}, {name: "shared-front", app: "front", port: 81, pods: 1}} {
		pods, err := b.readyPods(ctx, s.app, s.pods)
		if err != nil {
			return "", err
		}
		ips, _, err := b.balanced(ctx, s.name, 1)
		if err != nil {
			return "", err
		}
		if shared != "" && shared != ips[0] {
			return "", fmt.Errorf("%s has %s, the other one has %s", s.name, ips[0], shared)
		}
		shared = ips[0]
		if err := b.answers(ctx, Outside, at(shared, s.port), pods); err != nil {
			return "", err
		}
	}
	return shared + ": port 80 back, port 81 front", nil
}

func balancedLocal(ctx context.Context, b *Bed) (string, error) {
	ips, nodes, err := b.balanced(ctx, "balanced-local", 1)
	if err != nil {
		return "", err
	}
	return ips[0] + " at " + nodes[0], b.seesOutside(ctx, at(ips[0], 80))
}

// movedAddress takes the node that answers out of load balancers for a while.
func movedAddress(ctx context.Context, b *Bed) (seen string, err error) {
	pods, err := b.readyPods(ctx, "back", 2)
	if err != nil {
		return "", err
	}
	ips, nodes, err := b.balanced(ctx, "balanced-both", 2)
	if err != nil {
		return "", err
	}
	if err := b.exclude(ctx, nodes[0], true); err != nil {
		return "", err
	}
	defer func() {
		if back := b.exclude(ctx, nodes[0], false); err == nil {
			err = back
		}
	}()
	for _, ip := range ips {
		var now string
		if err := b.eventually(ctx, func() (err error) {
			if now, err = b.announcer(ctx, ip); err == nil && now == nodes[0] {
				err = fmt.Errorf("%s still answers for %s", now, ip)
			}
			return err
		}); err != nil {
			return "", err
		}
		if err := b.answers(ctx, Outside, at(ip, 80), pods); err != nil {
			return "", err
		}
		seen = fmt.Sprintf("from %s to %s", nodes[0], now)
	}
	return seen, nil
}

// exclude takes a node out of load balancers, or back.
func (b *Bed) exclude(ctx context.Context, node string, out bool) error {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	label := `null`
	if out {
		label = `""`
	}
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, corev1.LabelNodeExcludeBalancers, label)
	return b.Client.Patch(ctx, n, client.RawPatch("application/merge-patch+json", []byte(patch)))
}

func releasedAddress(ctx context.Context, b *Bed) (string, error) {
	ips, _, err := b.balanced(ctx, "balanced-local", 1)
	if err != nil {
		return "", err
	}
	s, err := b.service(ctx, "balanced-local")
	if err != nil {
		return "", err
	}
	if err := b.phase(ctx, "AddressReservation", ips[0], v1alpha1.ReservationBound); err != nil {
		return "", err
	}
	if err := b.Client.Delete(ctx, s); err != nil && !apierrors.IsNotFound(err) {
		return "", err
	}
	return ips[0], b.eventually(ctx, func() error {
		answers, err := b.try(ctx, Outside, probe.Request{Protocol: "tcp", Address: at(ips[0], 80), Timeout: 5 * time.Second})
		if err != nil {
			return err
		}
		if answers[0].Outcome == probe.Answered {
			return fmt.Errorf("%s is still answered", ips[0])
		}
		return nil
	})
}

// returnedAddress makes the Service anew that releasedAddress has deleted, after
// another one that takes the lowest address that is free.
func returnedAddress(ctx context.Context, b *Bed) (string, error) {
	kept, err := b.keptAddress(ctx, "balanced-local")
	if err != nil {
		return "", err
	}
	for _, file := range []string{"later/newcomer.yaml", "13-load-balancers.yaml"} {
		if err := b.apply(ctx, file); err != nil {
			return "", err
		}
	}
	newcomer, _, err := b.balanced(ctx, "newcomer", 1)
	if err != nil {
		return "", err
	}
	ips, nodes, err := b.balanced(ctx, "balanced-local", 1)
	if err != nil {
		return "", err
	}
	if ips[0] != kept {
		return "", fmt.Errorf("it has %s, and another Service %s: %s is reserved for it", ips[0], newcomer[0], kept)
	}
	return fmt.Sprintf("%s at %s, and another Service has %s", kept, nodes[0], newcomer[0]), b.seesOutside(ctx, at(kept, 80))
}

// keptAddress is that of a load balancer that is reserved for a Service.
func (b *Bed) keptAddress(ctx context.Context, service string) (string, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("AddressReservationList"))
	if err := b.Client.List(ctx, list, client.HasLabels{v1alpha1.RetainedLabel}); err != nil {
		return "", err
	}
	for _, r := range list.Items {
		name, _, _ := unstructured.NestedString(r.Object, "spec", "serviceRef", "name")
		address, _, _ := unstructured.NestedString(r.Object, "spec", "address")
		if name == service && strings.HasPrefix(address, "172.30.0.") {
			return address, nil
		}
	}
	return "", fmt.Errorf("no address of a load balancer is reserved for %s", service)
}

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
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/follow"
)

// cidrsAgain is how often to look whether an API server that has no
// ServiceCIDRs was replaced by one that has (Kubernetes 1.33).
const cidrsAgain = 10 * time.Minute

// serviceCIDRs follows the ServiceCIDRs (KEP-1880). Where there are none, as in
// older clusters, unallocated ClusterIPs are not dropped, and that is all.
func (a *Agent) serviceCIDRs(ctx context.Context) follow.Source {
	ranges := map[string][]netip.Prefix{}
	publish := func() { a.setServiceCIDRs(ctx, ranges) }
	client := a.Client.NetworkingV1().ServiceCIDRs()
	inner := follow.New(a.Client, "ServiceCIDRs", client, metav1.ListOptions{},
		func(cidr *networkingv1.ServiceCIDR) {
			ranges[cidr.Name] = parsePrefixes(cidr.Spec.CIDRs)
			publish()
		},
		func(_, name string) {
			delete(ranges, name)
			publish()
		})
	var none atomic.Bool
	return follow.Source{Name: inner.Name, Full: func() bool { return none.Load() || inner.Full() }, Run: func(ctx context.Context) {
		for ctx.Err() == nil {
			_, err := client.List(ctx, metav1.ListOptions{Limit: 1})
			if !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
				inner.Run(ctx)
				return
			}
			if !none.Swap(true) {
				log.FromContext(ctx).Info("Without ServiceCIDRs, connections to unallocated ClusterIPs are not dropped", "reason", err.Error())
			}
			sleep(ctx, cidrsAgain)
		}
	}}
}

// setServiceCIDRs takes all ranges as they are now.
func (a *Agent) setServiceCIDRs(ctx context.Context, ranges map[string][]netip.Prefix) {
	var all []netip.Prefix
	for _, cidrs := range ranges {
		all = append(all, cidrs...)
	}
	slices.SortFunc(all, comparePrefixes)
	all = slices.Compact(all)
	a.change(ctx, func(s *model.Store) { s.SetServiceCIDRs(all) }, event{})
	a.changeFacts(ctx, func(facts *Facts) { facts.ServiceCIDRs = all })
}

// ServiceCIDRs are the cluster's ranges of ClusterIPs, as far as they are known.
func (a *Agent) ServiceCIDRs() []netip.Prefix {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.facts.ServiceCIDRs)
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func parsePrefixes(texts []string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, text := range texts {
		if prefix, err := netip.ParsePrefix(text); err == nil { // the API server checks them
			prefixes = append(prefixes, model.PlainPrefix(prefix))
		}
	}
	return prefixes
}

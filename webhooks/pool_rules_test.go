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
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

func addrPool(name string, use v1alpha1.AddressUse, first, last, team string) allocator.AddrPool {
	return allocator.AddrPool{Name: name, Use: use, AutoAssign: true, Namespaces: labels.SelectorFromSet(labels.Set{"team": team}),
		Ranges: []allocator.AddrSpan{{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}}}
}

func portPool(name string, first, last int32, team string) allocator.PortPool {
	return allocator.PortPool{Name: name, AutoAssign: true, Namespaces: labels.SelectorFromSet(labels.Set{"team": team}),
		Ranges: []allocator.PortSpan{{First: first, Last: last}}}
}

func TestPoolsSayWhoMayUseANumber(t *testing.T) {
	tcp := corev1.ProtocolTCP
	pools := NewPools([]allocator.PortPool{portPool("blue", 31000, 31099, "blue"), portPool("red", 31100, 31199, "red")}, []allocator.AddrPool{
		addrPool("blue", v1alpha1.UseExternalIP, "203.0.113.0", "203.0.113.15", "blue"),
		addrPool("red", v1alpha1.UseExternalIP, "203.0.113.16", "203.0.113.31", "red"),
		addrPool("internal", v1alpha1.UseClusterIP, "10.96.40.0", "10.96.40.255", "red"),
	})
	edge := addrPool("edge", v1alpha1.UseLoadBalancer, "198.51.100.0", "198.51.100.15", "blue")
	balanced := NewPools(nil, []allocator.AddrPool{edge})
	both := NewPools(nil, []allocator.AddrPool{edge, addrPool("outer", v1alpha1.UseExternalIP, "198.51.100.0", "198.51.100.15", "red")})
	blue, red, nobody := labels.Set{"team": "blue"}, labels.Set{"team": "red"}, labels.Set{}
	reserved := func(number allocator.Number, name string) []allocator.Reservation {
		return []allocator.Reservation{{Number: number, Object: number.ReservationName(), Service: types.NamespacedName{Namespace: "default", Name: name}}}
	}
	mine := func(addr string) []allocator.Reservation {
		return reserved(allocator.AddrNumber(netip.MustParseAddr(addr)), "web")
	}
	for name, tc := range map[string]struct {
		namespace    labels.Set
		required     v1alpha1.AddressUse
		reservations []allocator.Reservation
		pools        *Pools
		old, new     *corev1.Service
		want         wantVerdict
	}{
		"X5: an external IP of the namespace's pool": {namespace: blue, pools: pools, new: service("web", external("203.0.113.7"))},
		"X5: of another's pool": {
			namespace: blue, pools: pools, new: service("web", external("203.0.113.20")),
			want: wantVerdict{errors: []string{`spec.externalIPs[0]: Invalid value: "203.0.113.20": this belongs to AddressPool red, which is not for this Service; use an address of 203.0.113.0-203.0.113.15 (rule X5)`}}},
		"X5: of no pool": {
			namespace: blue, pools: pools, new: service("web", external("192.0.2.7")),
			want: wantVerdict{errors: []string{"this is in no AddressPool for ExternalIP; use an address of 203.0.113.0-203.0.113.15"}}},
		"X5: a namespace without a pool": {
			namespace: nobody, pools: pools, new: service("web", external("192.0.2.7")),
			want: wantVerdict{errors: []string{"no AddressPool is for it: ask an administrator for one"}}},
		"without any pool of the use it is allowed": {namespace: blue, pools: pools, new: service("web", requests("198.51.100.7"))},
		"X5: a load balancer's address is no external IP, also for those who may have it": {
			namespace: blue, pools: balanced, new: service("web", external("198.51.100.7")),
			want: wantVerdict{errors: []string{`spec.externalIPs[0]: Invalid value: "198.51.100.7": this belongs to AddressPool edge, whose addresses are for Services of type LoadBalancer; no AddressPool is for it`}}},
		"unless a pool for external IPs has it as well": {namespace: red, pools: both, new: service("web", external("198.51.100.7"))},
		"X5: and that one is for this Service": {
			namespace: blue, pools: both, new: service("web", external("198.51.100.7")),
			want: wantVerdict{errors: []string{"this belongs to AddressPool outer, which is not for this Service"}}},
		"an external IP beside the pools of load balancers": {namespace: blue, pools: balanced, new: service("web", external("198.51.100.16"))},
		"X5: unless one is required": {
			namespace: blue, pools: pools, required: v1alpha1.UseLoadBalancer, new: service("web", requests("198.51.100.7")),
			want: wantVerdict{errors: []string{"spec.loadBalancerIP", "there is no AddressPool for LoadBalancer"}[:1]}},
		"what a controller wrote to the status is its own affair": {
			namespace: blue, pools: pools, required: v1alpha1.UseLoadBalancer, old: service("web", ingress()), new: service("web", ingress("198.51.100.7"))},
		"X5: a ClusterIP of another's pool": {
			namespace: blue, pools: pools, new: service("web", clusterIP("10.96.40.7")),
			want: wantVerdict{errors: []string{`spec.clusterIPs[0]: Invalid value: "10.96.40.7": this belongs to AddressPool internal`}}},
		"a ClusterIP of one's own pool": {namespace: red, pools: pools, new: service("web", clusterIP("10.96.40.7"))},
		"a ClusterIP of no pool":        {namespace: red, pools: pools, new: service("web", clusterIP("10.96.41.7"))},
		"X5: an address reserved for another": {
			namespace: blue, pools: pools, reservations: reserved(allocator.AddrNumber(netip.MustParseAddr("203.0.113.7")), "db"), new: service("web", external("203.0.113.7")),
			want: wantVerdict{errors: []string{"reserved for default/db (AddressReservation 203.0.113.7)"}}},
		"X5: one reserved for this Service needs a pool all the same": {
			namespace: nobody, pools: pools, reservations: mine("192.0.2.7"), new: service("web", external("192.0.2.7")),
			want: wantVerdict{errors: []string{"this is in no AddressPool for ExternalIP"}}},
		"X5: also where pools are only required": {
			namespace: nobody, required: v1alpha1.UseExternalIP, reservations: mine("192.0.2.7"), new: service("web", external("192.0.2.7")),
			want: wantVerdict{errors: []string{"there is no AddressPool for ExternalIP"}}},
		"one of its pool that is reserved for it": {namespace: blue, pools: pools, reservations: mine("203.0.113.7"), new: service("web", external("203.0.113.7"))},
		"a ClusterIP that is reserved for it":     {namespace: nobody, pools: pools, reservations: mine("10.96.40.7"), new: service("web", clusterIP("10.96.40.7"))},
		"X5: a load-balancer IP reserved for it": {
			namespace: nobody, required: v1alpha1.UseLoadBalancer, reservations: mine("198.51.100.7"), new: service("web", requests("198.51.100.7")),
			want: wantVerdict{errors: []string{"spec.loadBalancerIP"}}},
		"one that it was given and that is reserved for it may be asked for": {
			namespace: nobody, required: v1alpha1.UseLoadBalancer, reservations: mine("198.51.100.7"),
			old: service("web", ingress("198.51.100.7")), new: service("web", ingress("198.51.100.7"), requests("198.51.100.7"))},
		"X5: and is no external IP": {
			namespace: nobody, required: v1alpha1.UseExternalIP, reservations: mine("198.51.100.7"),
			old: service("web", ingress("198.51.100.7")), new: service("web", ingress("198.51.100.7"), external("198.51.100.7")),
			want: wantVerdict{errors: []string{"spec.externalIPs[0]"}}},
		"an address that was there before may stay": {
			namespace: blue, pools: pools, old: service("web", external("192.0.2.7")), new: service("web", external("192.0.2.7"), port(81, tcp))},

		"X7: a port of the namespace's pool": {namespace: blue, pools: pools, new: service("web", onNodePort(31050, tcp))},
		"X7: of another's pool": {
			namespace: blue, pools: pools, new: service("web", onNodePort(31150, tcp)),
			want: wantVerdict{errors: []string{"spec.ports[0].nodePort: Invalid value: 31150: this belongs to PortPool red, which is not for this namespace; use a port of 31000-31099 (rule X7)"}}},
		"X7: outside the namespace's pools": {
			namespace: blue, pools: pools, new: service("web", onNodePort(30080, tcp)),
			want: wantVerdict{errors: []string{"this is outside the PortPools of this namespace; use a port of 31000-31099"}}},
		"X7: a namespace without a pool in another's": {
			namespace: nobody, pools: pools, new: service("web", onNodePort(31050, tcp)),
			want: wantVerdict{errors: []string{"use a port that is in no PortPool"}}},
		"a namespace without a pool beside the pools": {namespace: nobody, pools: pools, new: service("web", onNodePort(30080, tcp))},
		"X7: a port reserved for another": {
			namespace: nobody, reservations: reserved(allocator.PortNumber(30080), "db"), new: service("web", onNodePort(30080, tcp)),
			want: wantVerdict{errors: []string{"reserved for default/db (PortReservation 30080)"}}},
		"X7: a port reserved for nobody": {
			namespace: nobody, reservations: []allocator.Reservation{{Number: allocator.PortNumber(30080), Object: "30080"}}, new: service("web", onNodePort(30080, tcp)),
			want: wantVerdict{errors: []string{"reserved for nobody (PortReservation 30080)"}}},
		"X7: a health check outside the pools": {
			namespace: blue, pools: pools, new: service("web", healthCheck(30090)),
			want: wantVerdict{errors: []string{"spec.healthCheckNodePort"}}},
		"no pools, nothing to say": {namespace: blue, new: service("web", external("192.0.2.7"), func(svc *corev1.Service) { svc.Spec.Type = corev1.ServiceTypeNodePort })},
	} {
		t.Run(name, func(t *testing.T) {
			world := &memory{namespaces: map[string]labels.Set{"default": tc.namespace}, pools: tc.pools, required: tc.required, reservations: tc.reservations}
			got, err := ValidateService(t.Context(), world, nil, ServiceChange{Old: tc.old, New: tc.new})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

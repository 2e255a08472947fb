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
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// wishing asks for addresses as a load-balancer controller wants it.
func wishing(key, value string) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		svc.Spec.Type = corev1.ServiceTypeLoadBalancer
		svc.Annotations = map[string]string{key: value}
	}
}

func TestAddressesAreAskedForInAnnotations(t *testing.T) {
	const two = "198.51.100.7, 2001:db8::7"
	for key, value := range map[string]string{
		"switchyard.dev/load-balancer-ips":                    two,
		"metallb.io/loadBalancerIPs":                          two,
		"metallb.universe.tf/loadBalancerIPs":                 two,
		"kube-vip.io/loadbalancerIPs":                         two,
		"lbipam.cilium.io/ips":                                two,
		"io.cilium/lb-ipam-ips":                               two,
		"purelb.io/addresses":                                 two,
		"projectcalico.org/loadBalancerIPs":                   `["198.51.100.7", "2001:db8\u003a:7"]`,
		"service.beta.kubernetes.io/azure-load-balancer-ipv4": two,
		"service.beta.kubernetes.io/azure-load-balancer-ipv6": two,
	} {
		world := &memory{required: v1alpha1.UseLoadBalancer}
		got, err := ValidateService(t.Context(), world, Severities{"X12": Off}, ServiceChange{New: service("web", wishing(key, value))})
		if err != nil {
			t.Fatal(err)
		}
		at := "metadata.annotations[" + key + "]: Invalid value: "
		expectVerdict(t, got, wantVerdict{errors: []string{at + `"198.51.100.7": there is no AddressPool for LoadBalancer`, at + `"2001:db8::7"`}})
	}
}

func TestWhatAnAnnotationAsksForIsJudgedLikeTheField(t *testing.T) {
	const metallb = "metallb.io/loadBalancerIPs"
	world := &memory{cidrs: []ServiceCIDR{{"kubernetes", netip.MustParsePrefix("10.96.0.0/16")}},
		services: []*corev1.Service{service("waiting", wishing(metallb, "198.51.100.2"))}}
	for name, tc := range map[string]struct {
		required v1alpha1.AddressUse
		old, new *corev1.Service
		want     wantVerdict
	}{
		"X2: another waits for it": {
			new:  service("web", requests("198.51.100.2")),
			want: wantVerdict{errors: []string{"default/waiting already waits for this address with port 80/TCP"}}},
		"X3: a ClusterIP's": {
			new: service("web", wishing(metallb, "10.96.0.10")), want: wantVerdict{errors: []string{"this is inside 10.96.0.0/16"}}},
		"X5: on an update": {
			required: v1alpha1.UseLoadBalancer, old: service("web", ingress()), new: service("web", wishing(metallb, "198.51.100.3")),
			want: wantVerdict{errors: []string{"rule X5"}}},
		"X5: both ways is once": {
			required: v1alpha1.UseLoadBalancer, new: service("web", wishing(metallb, "198.51.100.3"), requests("198.51.100.3")),
			want: wantVerdict{errors: []string{"spec.loadBalancerIP"}}},
		"what was there before may stay": {
			required: v1alpha1.UseLoadBalancer, old: service("web", wishing(metallb, "198.51.100.3")), new: service("web", wishing(metallb, "198.51.100.3"), selecting("app", "x"))},
		"of a ClusterIP Service it means nothing": {required: v1alpha1.UseLoadBalancer, new: service("web", wishing(metallb, "198.51.100.3"), ofType(corev1.ServiceTypeClusterIP))},
		"nonsense is the controller's to refuse":  {required: v1alpha1.UseLoadBalancer, new: service("web", wishing(metallb, "any, 198.51.100.0/24,,"))},
		"another annotation":                      {required: v1alpha1.UseLoadBalancer, new: service("web", wishing("example.com/ips", "198.51.100.3"))},
	} {
		t.Run(name, func(t *testing.T) {
			world.required = tc.required
			got, err := ValidateService(t.Context(), world, Severities{"X12": Off}, ServiceChange{Old: tc.old, New: tc.new})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

// It is how kube-vip is asked for an address by DHCP.
func TestAnUnspecifiedAddressIsNoWish(t *testing.T) {
	for _, any := range []string{"0.0.0.0", "::"} {
		for _, ask := range []func(*corev1.Service){requests(any), wishing("kube-vip.io/loadbalancerIPs", any)} {
			world := &memory{required: v1alpha1.UseLoadBalancer, services: []*corev1.Service{service("first", ask)}}
			got, err := ValidateService(t.Context(), world, Severities{"X12": Off}, ServiceChange{New: service("second", ask)})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, wantVerdict{})
		}
	}
}

func TestManyWishesAreNotJudged(t *testing.T) {
	var wishes []string
	for i := range maxNewAddresses + 1 {
		wishes = append(wishes, netip.AddrFrom4([4]byte{198, 51, byte(i / 200), byte(i % 200)}).String())
	}
	svc := service("web", wishing("metallb.io/loadBalancerIPs", strings.Join(wishes, ",")))
	got, err := ValidateService(t.Context(), &memory{}, nil, ServiceChange{New: svc})
	if err != nil {
		t.Fatal(err)
	}
	expectVerdict(t, got, wantVerdict{errors: []string{"a change that adds 101 addresses is not judged"}})
}

func TestWhoWaitsByAnAnnotationIsFound(t *testing.T) {
	objects := []client.Object{service("waiting", wishing("lbipam.cilium.io/ips", "198.51.100.9,198.51.100.2"))}
	got, err := cluster(t, objects, objects).ServicesByVIP(t.Context(), netip.MustParseAddr("198.51.100.2"), everyService)
	if err != nil || strings.Join(names(got), ",") != "waiting" {
		t.Errorf("%v, %v", names(got), err)
	}
}

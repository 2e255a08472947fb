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

package model

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

func TestWhatIsProxied(t *testing.T) {
	const unnamed = "default/web/TCP 10.96.0.10:80"
	for name, tc := range map[string]struct {
		services []*corev1.Service
		slices   []*discoveryv1.EndpointSlice
		want     []string
	}{
		"a Service without slices has no endpoints": {
			services: []*corev1.Service{makeService("web")},
			want:     []string{unnamed},
		},
		"slices without a Service are nothing": {
			slices: []*discoveryv1.EndpointSlice{makeSlice("web", "web-1", endpoint("10.0.0.1", ""))},
		},
		"a headless Service is ignored": {
			services: []*corev1.Service{makeService("web", clusterIPs("None"))},
		},
		"a Service that has no ClusterIP yet is ignored": {
			services: []*corev1.Service{makeService("web", clusterIPs(""))},
		},
		"an ExternalName Service is ignored, even with a ClusterIP left over": {
			services: []*corev1.Service{makeService("web", func(svc *corev1.Service) {
				svc.Spec.Type = corev1.ServiceTypeExternalName
			})},
		},
		"another proxy's Service is ignored": {
			services: []*corev1.Service{makeService("web", serviceLabel(LabelServiceProxyName, ""))},
		},
		"slices of a headless Service are ignored": {
			services: []*corev1.Service{makeService("web")},
			slices: []*discoveryv1.EndpointSlice{
				makeSlice("web", "web-1", sliceLabel(corev1.IsHeadlessService, ""), endpoint("10.0.0.1", "")),
			},
			want: []string{unnamed},
		},
		"FQDN slices are ignored": {
			services: []*corev1.Service{makeService("web")},
			slices: []*discoveryv1.EndpointSlice{
				makeSlice("web", "web-1", addressType(discoveryv1.AddressTypeFQDN), endpoint("a.example", "")),
			},
			want: []string{unnamed},
		},
		"each family takes the slices of its address type": {
			services: []*corev1.Service{makeService("web", clusterIPs("10.96.0.10", "fd00::a"))},
			slices: []*discoveryv1.EndpointSlice{
				makeSlice("web", "web-4", endpoint("10.0.0.1", "")),
				makeSlice("web", "web-6", addressType(discoveryv1.AddressTypeIPv6), endpoint("fd01::1", "")),
			},
			want: []string{
				unnamed + " 10.0.0.1:8080/r/s",
				"default/web/TCP [fd00::a]:80 [fd01::1]:8080/r/s",
			},
		},
		"endpoints of a family without ClusterIP are not used": {
			services: []*corev1.Service{makeService("web")},
			slices: []*discoveryv1.EndpointSlice{
				makeSlice("web", "web-6", addressType(discoveryv1.AddressTypeIPv6), endpoint("fd01::1", "")),
			},
			want: []string{unnamed},
		},
		"the slices of a Service are merged, one endpoint for each address and port": {
			services: []*corev1.Service{makeService("web")},
			slices: []*discoveryv1.EndpointSlice{
				makeSlice("web", "web-2", endpoint("10.0.0.2", ""), endpoint("10.0.0.1", "")),
				makeSlice("web", "web-1", endpoint("10.0.0.1", ""), endpoint("10.0.0.3", "")),
			},
			want: []string{unnamed + " 10.0.0.1:8080/r/s 10.0.0.2:8080/r/s 10.0.0.3:8080/r/s"},
		},
		"an address seen twice is the new pod's and not the terminating one's": {
			services: []*corev1.Service{makeService("web")},
			slices: []*discoveryv1.EndpointSlice{
				makeSlice("web", "web-1", endpoint("10.0.0.1", "ready serving terminating")), // publishNotReadyAddresses
				makeSlice("web", "web-2", endpoint("10.0.0.1", "none")),
			},
			want: []string{unnamed + " 10.0.0.1:8080"},
		},
		"of two sightings the one that is ready counts, or else the one that serves": {
			services: []*corev1.Service{makeService("web")},
			slices: []*discoveryv1.EndpointSlice{
				makeSlice("web", "web-1", endpoint("10.0.0.1", "serving"), endpoint("10.0.0.2", "none")),
				makeSlice("web", "web-2", endpoint("10.0.0.1", "ready"), endpoint("10.0.0.2", "serving")),
			},
			want: []string{unnamed + " 10.0.0.1:8080/r 10.0.0.2:8080/s"},
		},
		"a named targetPort may have another number on each pod": {
			services: []*corev1.Service{makeService("web", ports(corev1.ServicePort{Name: "http", Port: 80}))},
			slices: []*discoveryv1.EndpointSlice{
				makeSlice("web", "web-1", slicePorts(slicePortOf("http", "TCP", 8080)), endpoint("10.0.0.1", "")),
				makeSlice("web", "web-2", slicePorts(slicePortOf("http", "TCP", 9090)), endpoint("10.0.0.2", "")),
			},
			want: []string{"default/web:http/TCP 10.96.0.10:80 10.0.0.1:8080/r/s 10.0.0.2:9090/r/s"},
		},
		"ports match by name and protocol": {
			services: []*corev1.Service{makeService("dns", ports(
				corev1.ServicePort{Name: "dns", Protocol: "UDP", Port: 53},
				corev1.ServicePort{Name: "dns-tcp", Protocol: "TCP", Port: 53},
				corev1.ServicePort{Name: "dns-sctp", Protocol: "SCTP", Port: 53},
			))},
			slices: []*discoveryv1.EndpointSlice{makeSlice("dns", "dns-1", slicePorts(
				slicePortOf("dns", "UDP", 5353), slicePortOf("dns-tcp", "TCP", 5354),
				slicePortOf("dns-sctp", "TCP", 5355), slicePortOf("other", "TCP", 1),
			), endpoint("10.0.0.1", ""))},
			want: []string{
				"default/dns:dns/UDP 10.96.0.10:53 10.0.0.1:5353/r/s",
				"default/dns:dns-sctp/SCTP 10.96.0.10:53",
				"default/dns:dns-tcp/TCP 10.96.0.10:53 10.0.0.1:5354/r/s",
			},
		},
		"conditions are taken as they are, and unset means ready": {
			services: []*corev1.Service{makeService("web")},
			slices: []*discoveryv1.EndpointSlice{makeSlice("web", "web-1",
				endpoint("10.0.0.1", "none"), endpoint("10.0.0.2", "ready"), // ready alone: publishNotReadyAddresses
				endpoint("10.0.0.3", "serving terminating"), endpoint("10.0.0.4", ""))},
			want: []string{unnamed + " 10.0.0.1:8080 10.0.0.2:8080/r 10.0.0.3:8080/s/t 10.0.0.4:8080/r/s"},
		},
		"externalIPs and load balancer addresses are destinations, but for mode Proxy and host names": {
			services: []*corev1.Service{makeService("web", externalIPs("192.0.2.1"), ingress(
				corev1.LoadBalancerIngress{IP: "198.51.100.1"},
				corev1.LoadBalancerIngress{IP: "198.51.100.2", IPMode: ptr.To(corev1.LoadBalancerIPModeVIP)},
				corev1.LoadBalancerIngress{IP: "198.51.100.3", IPMode: ptr.To(corev1.LoadBalancerIPModeProxy)},
				corev1.LoadBalancerIngress{Hostname: "lb.example"},
				corev1.LoadBalancerIngress{IP: "192.0.2.1"},
			), ports(corev1.ServicePort{Port: 80, NodePort: 30080}))},
			want: []string{unnamed + " vips=[192.0.2.1 198.51.100.1 198.51.100.2] nodePort=30080"},
		},
		"an address with leading zeros is read as the API server reads it": {
			services: []*corev1.Service{makeService("web", clusterIPs("10.096.000.010"))},
			want:     []string{unnamed},
		},
		"a Service with only the old clusterIP field is proxied": {
			services: []*corev1.Service{makeService("web", func(svc *corev1.Service) { svc.Spec.ClusterIPs = nil })},
			want:     []string{unnamed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := storeOf(tc.services, tc.slices)
			if diff := cmp.Diff(tc.want, describe(s)); diff != "" {
				t.Errorf("ServicePorts (-want +got):\n%s", diff)
			}
			if problems := describeProblems(s); problems != nil {
				t.Errorf("problems where there are none: %q", problems)
			}
		})
	}
}

func TestOfTwoEqualSightingsTheFirstSliceDecides(t *testing.T) {
	on := func(node string) sliceOption {
		return func(eps *discoveryv1.EndpointSlice) {
			for i := range eps.Endpoints {
				eps.Endpoints[i].NodeName = &node
			}
		}
	}
	first := makeSlice("web", "web-1", endpoint("10.0.0.2", ""), endpoint("10.0.0.3", ""), on("first"))
	second := makeSlice("web", "web-2", endpoint("10.0.0.1", ""), endpoint("10.0.0.2", ""), on("second"))
	third := makeSlice("web", "web-3", endpoint("10.0.0.0", ""), endpoint("10.0.0.1", ""), endpoint("10.0.0.3", ""), on("third"))
	for _, order := range [][]*discoveryv1.EndpointSlice{{first, second, third}, {third, second, first}} {
		s := storeOf([]*corev1.Service{makeService("web")}, order)
		var got []string
		for _, e := range s.Endpoints(s.Names()[0], IPv4) {
			got = append(got, e.Addr.Addr().String()+" "+e.NodeName)
		}
		want := []string{"10.0.0.0 third", "10.0.0.1 second", "10.0.0.2 first", "10.0.0.3 first"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("endpoints (-want +got):\n%s", diff)
		}
	}
}

func TestTheRoomOfACrowdIsGivenBack(t *testing.T) {
	odd, even := makeSlice("web", "web-1"), makeSlice("web", "web-2")
	for i := range 2 * maxSpare { // in turns, so that all of one have to be put aside
		one := []*discoveryv1.EndpointSlice{even, odd}[i%2]
		endpoint(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String(), "")(one)
	}
	endpoint("10.255.0.1", "")(odd)
	s := storeOf([]*corev1.Service{makeService("web")}, []*discoveryv1.EndpointSlice{odd, even})
	if got := len(s.Endpoints(s.Names()[0], IPv4)); got != 2*maxSpare+1 {
		t.Fatalf("%d endpoints", got)
	}
	if room := cap(s.merger.spare); room > maxSpare {
		t.Errorf("room for %d endpoints is kept", room)
	}
}

func TestTrafficIsCarriedAlong(t *testing.T) {
	local := corev1.ServiceInternalTrafficPolicyLocal
	s := storeOf([]*corev1.Service{makeService("web", func(svc *corev1.Service) {
		svc.Spec.Type = corev1.ServiceTypeLoadBalancer
		svc.Spec.InternalTrafficPolicy = &local
		svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		svc.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		svc.Spec.LoadBalancerSourceRanges = []string{" 192.0.2.7/24", "nonsense", "::ffff:198.51.100.9/120"}
		svc.Spec.HealthCheckNodePort = 31234
	})}, nil)
	port, _ := s.ServicePort(s.Names()[0])
	ranges := port.Traffic.SourceRanges
	if fmt.Sprint(ranges) != "[192.0.2.0/24 198.51.100.0/24]" {
		t.Errorf("source ranges are %v", ranges)
	}
	port.Traffic.SourceRanges = nil
	want := Traffic{InternalLocal: true, ExternalLocal: true, Affinity: defaultAffinity, HealthCheckNodePort: 31234}
	if diff := cmp.Diff(want, port.Traffic); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
}

func TestSourceRangesThatAreAllWrongAdmitNobody(t *testing.T) {
	s := storeOf([]*corev1.Service{makeService("web", func(svc *corev1.Service) {
		svc.Spec.LoadBalancerSourceRanges = []string{"nonsense"}
	})}, nil)
	port, _ := s.ServicePort(s.Names()[0])
	if ranges := port.Traffic.SourceRanges; ranges == nil || len(ranges) != 0 {
		t.Errorf("source ranges are %#v, want an empty list", ranges)
	}
}

func TestTheLoadBalancersOwnAnnotationBindsNobodyHere(t *testing.T) {
	s := storeOf([]*corev1.Service{makeService("web", func(svc *corev1.Service) {
		svc.Annotations = map[string]string{corev1.AnnotationLoadBalancerSourceRangesKey: "192.0.2.0/24"}
	})}, nil)
	port, _ := s.ServicePort(s.Names()[0])
	if ranges := port.Traffic.SourceRanges; ranges != nil {
		t.Errorf("source ranges are %v, want none", ranges)
	}
}

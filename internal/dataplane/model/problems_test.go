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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func TestMalformedPartsAreSkippedAndNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		services     []*corev1.Service
		slices       []*discoveryv1.EndpointSlice
		want         []string
		wantProblems []string
	}{
		"a bad port leaves the good ones": {
			services: []*corev1.Service{makeService("web", ports(
				corev1.ServicePort{Name: "zero", Port: 0}, corev1.ServicePort{Name: "big", Port: 65536},
				corev1.ServicePort{Name: "odd", Port: 81, Protocol: "ICMP"}, corev1.ServicePort{Name: "ok", Port: 80},
			))},
			want: []string{"default/web:ok/TCP 10.96.0.10:80"},
			wantProblems: []string{
				"Service default/web: spec.ports[0].port: 0 is not a port number; choose 1-65535",
				"Service default/web: spec.ports[1].port: 65536 is not a port number; choose 1-65535",
				`Service default/web: spec.ports[2].protocol: "ICMP" is not a protocol of Services; choose TCP, UDP or SCTP`,
			},
		},
		"a bad nodePort leaves the ClusterIP": {
			services: []*corev1.Service{makeService("web", ports(corev1.ServicePort{Port: 80, NodePort: 99999}))},
			want:     []string{"default/web/TCP 10.96.0.10:80"},
			wantProblems: []string{
				"Service default/web: spec.ports[0].nodePort: 99999 is not a port number; choose a free port of the cluster's range (30000-32767 by default)",
			},
		},
		"names and numbers that repeat lead to the first": {
			services: []*corev1.Service{makeService("web", ports(
				corev1.ServicePort{Name: "a", Port: 80, NodePort: 30080}, corev1.ServicePort{Name: "a", Port: 81},
				corev1.ServicePort{Name: "b", Port: 80}, corev1.ServicePort{Name: "c", Port: 82, NodePort: 30080},
			))},
			want: []string{"default/web:a/TCP 10.96.0.10:80 nodePort=30080", "default/web:c/TCP 10.96.0.10:82"},
			wantProblems: []string{
				`Service default/web: spec.ports[1].name: "a" is the name of an earlier TCP port; give each port a name of its own`,
				"Service default/web: spec.ports[2].port: TCP port 80 is used by an earlier port; remove one of them",
				"Service default/web: spec.ports[3].nodePort: TCP port 30080 is used by an earlier port; remove one of them",
			},
		},
		"bad addresses leave the good ones": {
			services: []*corev1.Service{makeService("web", clusterIPs("10.96.0.10", "10.96.0.11"),
				externalIPs("nonsense", "127.0.0.1", "192.0.2.1", "fd00::1"),
				ingress(corev1.LoadBalancerIngress{IP: "224.0.0.1"}, corev1.LoadBalancerIngress{IP: "192.0.2.2"}))},
			want: []string{"default/web/TCP 10.96.0.10:80 vips=[192.0.2.1 192.0.2.2]"},
			wantProblems: []string{
				"Service default/web: spec.clusterIPs[1]: 10.96.0.11 is a second IPv4 address; re-create the Service to have one allocated",
				`Service default/web: spec.externalIPs[0]: "nonsense" is not an IP address; remove it or correct it`,
				"Service default/web: spec.externalIPs[1]: 127.0.0.1 is a loopback address; remove it or correct it",
				"Service default/web: spec.externalIPs[3]: fd00::1 is IPv6 but the Service has no IPv6 ClusterIP; remove it, or set spec.ipFamilyPolicy to PreferDualStack",
				"Service default/web: status.loadBalancer.ingress[0].ip: 224.0.0.1 is a multicast address; remove it or correct it",
			},
		},
		"a bad ClusterIP proxies nothing": {
			services: []*corev1.Service{makeService("web", clusterIPs("10.96.0"))},
			wantProblems: []string{
				`Service default/web: spec.clusterIPs[0]: "10.96.0" is not an IP address; re-create the Service to have one allocated`,
			},
		},
		"bad endpoints leave the good ones": {
			services: []*corev1.Service{makeService("web")},
			slices: []*discoveryv1.EndpointSlice{makeSlice("web", "web-1",
				slicePorts(discoveryv1.EndpointPort{}, slicePortOf("", "TCP", 0), slicePortOf("", "X", 1), slicePortOf("", "TCP", 8080)),
				endpoint("", ""), endpoint("fd00::1", ""), endpoint("::ffff:10.0.0.9", ""), endpoint("169.254.169.254", ""),
				endpoint("10.0.0.1", ""), func(eps *discoveryv1.EndpointSlice) {
					eps.Endpoints = append(eps.Endpoints, discoveryv1.Endpoint{})
				})},
			want: []string{"default/web/TCP 10.96.0.10:80 10.0.0.1:8080/r/s 10.0.0.9:8080/r/s"},
			wantProblems: []string{
				`EndpointSlice default/web-1: endpoints[0].addresses[0]: "" is not an IP address; correct the address or remove the endpoint`,
				"EndpointSlice default/web-1: endpoints[1].addresses[0]: fd00::1 is not of the slice's addressType IPv4; correct the address or remove the endpoint",
				"EndpointSlice default/web-1: endpoints[3].addresses[0]: 169.254.169.254 is a link-local address; correct the address or remove the endpoint",
				"EndpointSlice default/web-1: endpoints[5].addresses: the endpoint has no address; give it one",
				"EndpointSlice default/web-1: ports[0].port: no port number is set; choose 1-65535",
				"EndpointSlice default/web-1: ports[1].port: 0 is not a port number; choose 1-65535",
				`EndpointSlice default/web-1: ports[2].protocol: "X" is not a protocol of Services; choose TCP, UDP or SCTP`,
			},
		},
		"a slice of an unknown address type is skipped": {
			services: []*corev1.Service{makeService("web")},
			slices:   []*discoveryv1.EndpointSlice{makeSlice("web", "web-1", addressType("IPX"), endpoint("10.0.0.1", ""))},
			want:     []string{"default/web/TCP 10.96.0.10:80"},
			wantProblems: []string{
				`EndpointSlice default/web-1: addressType: "IPX" is not a type of addresses; choose IPv4, IPv6 or FQDN`,
			},
		},
		"of two Services with one VIP and port the older has it, and both are told": {
			services: []*corev1.Service{
				makeService("new", createdAfter(time.Minute), clusterIPs("10.96.0.11"), externalIPs("192.0.2.1", "192.0.2.2")),
				makeService("old", clusterIPs("10.96.0.12"), externalIPs("192.0.2.1")),
				makeService("peaceful", clusterIPs("10.96.0.13"), externalIPs("192.0.2.1"), ports(corev1.ServicePort{Port: 81})),
			},
			want: []string{
				"default/new/TCP 10.96.0.11:80 vips=[192.0.2.2]",
				"default/old/TCP 10.96.0.12:80 vips=[192.0.2.1]",
				"default/peaceful/TCP 10.96.0.13:81 vips=[192.0.2.1]",
			},
			wantProblems: []string{
				"Service default/new: spec: TCP 192.0.2.1:80 belongs to the older Service default/old and leads there; change or delete one of the two",
				"Service default/old: spec: TCP 192.0.2.1:80 is also claimed by the newer Service default/new, which gets nothing of it; change or delete one of the two",
			},
		},
		"a ClusterIP is its Service's, whoever named the address before": {
			services: []*corev1.Service{
				makeService("web", createdAfter(time.Minute), clusterIPs("10.96.0.11"), ports(corev1.ServicePort{Port: 80, NodePort: 30080})),
				makeService("grabber", clusterIPs("10.96.0.12"), externalIPs("10.96.0.11", "192.0.2.1")),
			},
			want: []string{"default/grabber/TCP 10.96.0.12:80 vips=[192.0.2.1]", "default/web/TCP 10.96.0.11:80 nodePort=30080"},
			wantProblems: []string{
				"Service default/grabber: spec: TCP 10.96.0.11:80 belongs to Service default/web, whose ClusterIP it is, and leads there; change or delete one of the two",
				"Service default/web: spec: TCP 10.96.0.11:80 is also claimed by Service default/grabber, which gets nothing of it; change or delete one of the two",
			},
		},
		"Services of one age are ordered by name": {
			services: []*corev1.Service{
				makeService("b", clusterIPs("10.96.0.11"), ports(corev1.ServicePort{Port: 80, NodePort: 30080})),
				makeService("a", clusterIPs("10.96.0.12"), ports(corev1.ServicePort{Port: 80, NodePort: 30080})),
			},
			want: []string{"default/a/TCP 10.96.0.12:80 nodePort=30080", "default/b/TCP 10.96.0.11:80"},
			wantProblems: []string{
				"Service default/a: spec: TCP nodePort 30080 is also claimed by the newer Service default/b, which gets nothing of it; change or delete one of the two",
				"Service default/b: spec: TCP nodePort 30080 belongs to the older Service default/a and leads there; change or delete one of the two",
			},
		},
		"and those of one name by namespace": {
			services: []*corev1.Service{
				makeService("a", clusterIPs("10.96.0.12"), externalIPs("192.0.2.1")),
				makeService("a", clusterIPs("10.96.0.11"), externalIPs("192.0.2.1"), func(svc *corev1.Service) { svc.Namespace = "zoo" }),
			},
			want: []string{"default/a/TCP 10.96.0.12:80 vips=[192.0.2.1]", "zoo/a/TCP 10.96.0.11:80"},
			wantProblems: []string{
				"Service default/a: spec: TCP 192.0.2.1:80 is also claimed by the newer Service zoo/a, which gets nothing of it; change or delete one of the two",
				"Service zoo/a: spec: TCP 192.0.2.1:80 belongs to the older Service default/a and leads there; change or delete one of the two",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := storeOf(tc.services, tc.slices)
			if diff := cmp.Diff(tc.want, describe(s)); diff != "" {
				t.Errorf("ServicePorts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantProblems, describeProblems(s)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAProblemIsReportedOnceUntilItComesBack(t *testing.T) {
	s := NewStore(Options{})
	bad := makeService("web", externalIPs("nonsense"))
	s.SetService(bad)
	if got := len(s.TakeProblems()); got != 1 {
		t.Fatalf("%d problems when the Service appeared, want 1", got)
	}
	s.SetService(makeService("web", externalIPs("nonsense"), ports(corev1.ServicePort{Port: 81})))
	if got := s.TakeProblems(); len(got) != 0 {
		t.Errorf("reported again with another change: %v", got)
	}
	s.SetService(makeService("web"))
	s.SetService(bad)
	if got := s.TakeProblems(); len(got) != 0 {
		t.Errorf("reported though nobody saw it gone: %v", got)
	}
	s.DeleteService("default", "web")
	s.TakeProblems()
	s.SetService(bad)
	if got := len(s.TakeProblems()); got != 1 {
		t.Errorf("%d problems when it came back, want 1", got)
	}
}

func TestAddressesThatNoPacketCanHave(t *testing.T) {
	for text, want := range map[string]string{
		"0.0.0.0":                 "0.0.0.0 is the unspecified address",
		"::":                      ":: is the unspecified address",
		"127.1.2.3":               "127.1.2.3 is a loopback address",
		"::1":                     "::1 is a loopback address",
		"169.254.0.1":             "169.254.0.1 is a link-local address",
		"fe80::1":                 "fe80::1 is a link-local address",
		"239.0.0.1":               "239.0.0.1 is a multicast address",
		"ff05::1":                 "ff05::1 is a multicast address",
		"255.255.255.255":         "255.255.255.255 is the broadcast address",
		"::ffff:127.0.0.1":        "127.0.0.1 is a loopback address",
		"fe80::1%eth0":            `"fe80::1%eth0" is not an IP address`,
		"10.0.0.0/8":              `"10.0.0.0/8" is not an IP address`,
		"":                        `"" is not an IP address`,
		strings.Repeat("1", 1000): `"` + strings.Repeat("1", 64) + `..." is not an IP address`,
	} {
		if addr, err := parseAddr(text); err == nil || err.Error() != want {
			t.Errorf("%q is read as %s, error %v, want %s", text, addr, err, want)
		}
	}
	for text, want := range map[string]string{"010.000.0.08": "10.0.0.8", "::ffff:192.0.2.1": "192.0.2.1", "255.255.255.254": "255.255.255.254"} {
		if addr, err := parseAddr(text); err != nil || addr.String() != want {
			t.Errorf("%q is read as %s, error %v, want %s", text, addr, err, want)
		}
	}
}

func TestHowLongAClientMayStay(t *testing.T) {
	for seconds, want := range map[int32]time.Duration{
		1: time.Second, 86400: 24 * time.Hour, -1: defaultAffinity, 0: defaultAffinity, 86401: defaultAffinity,
	} {
		s := storeOf([]*corev1.Service{makeService("web", sticky, func(svc *corev1.Service) {
			svc.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &seconds}}
		})}, nil)
		port, _ := s.ServicePort(s.Names()[0])
		if port.Traffic.Affinity != want {
			t.Errorf("%d seconds are %s, want %s", seconds, port.Traffic.Affinity, want)
		}
		if problems, wrong := describeProblems(s), want == defaultAffinity; (len(problems) == 1) != wrong {
			t.Errorf("%d seconds: problems %q", seconds, problems)
		}
	}
}

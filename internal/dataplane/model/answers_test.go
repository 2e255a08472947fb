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
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func TestEndpointsUnderANameThatTheServiceLacksMayHoldFlows(t *testing.T) {
	http := ServicePortName{Namespace: "default", Name: "web", Port: "http", Protocol: TCP}
	dns := ServicePortName{Namespace: "default", Name: "web", Port: "dns", Protocol: UDP}
	web := makeService("web", ports(
		corev1.ServicePort{Name: "http", Protocol: "TCP", Port: 80}, corev1.ServicePort{Name: "dns", Protocol: "UDP", Port: 53},
	))
	store := storeOf([]*corev1.Service{web}, []*discoveryv1.EndpointSlice{
		makeSlice("web", "web-1", endpoint("10.0.0.1", ""), endpoint("10.0.0.2", "serving terminating"), endpoint("10.0.0.3", "terminating")),
		makeSlice("web", "web-2", slicePorts(slicePortOf("http", "TCP", 8080)), endpoint("10.0.0.4", "")),
		makeSlice("web", "web-3", slicePorts(slicePortOf("dns", "UDP", 5353), slicePortOf("http", "UDP", 5354)), endpoint("10.0.0.5", "")),
		makeSlice("web", "web-6", addressType(discoveryv1.AddressTypeIPv6), endpoint("fd00::1", "")),
		makeSlice("api", "api-1", slicePorts(slicePortOf("old", "TCP", 8080)), endpoint("10.0.0.9", "")),
	})
	for _, tc := range []struct {
		name   ServicePortName
		family Family
		want   string
	}{
		{http, IPv4, "[10.0.0.1:8080 10.0.0.2:8080]"},
		{http, IPv6, "[[fd00::1]:8080]"},
		{dns, IPv4, "[10.0.0.5:5354]"},
		{ServicePortName{Namespace: "default", Name: "api", Port: "new", Protocol: TCP}, IPv4, "[]"}, // no such Service
	} {
		orphans := store.Orphans(tc.name, tc.family)
		slices.SortFunc(orphans, netip.AddrPort.Compare)
		if got := fmt.Sprint(orphans); got != tc.want {
			t.Errorf("%s of %s: %s, want %s", tc.name, tc.family, got, tc.want)
		}
	}
	store.SetSlice(makeSlice("web", "web-1", slicePorts(slicePortOf("http", "TCP", 8080)), endpoint("10.0.0.1", "")))
	if got := store.Orphans(http, IPv4); got != nil {
		t.Errorf("%v are orphans after the rename", got)
	}
}

func TestADestinationHasOneOwner(t *testing.T) {
	const vip = "203.0.113.1"
	two := ports(
		corev1.ServicePort{Name: "http", Protocol: "TCP", Port: 80, NodePort: 30080},
		corev1.ServicePort{Name: "dns", Protocol: "UDP", Port: 53, NodePort: 30053},
	)
	local := func(svc *corev1.Service) {
		svc.Spec.Type, svc.Spec.ExternalTrafficPolicy = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal
		svc.Spec.HealthCheckNodePort = 32000
	}
	older := makeService("older", two, externalIPs(vip), local)
	newer := makeService("newer", clusterIPs("10.96.0.11"), two, externalIPs(vip), createdAfter(time.Minute))
	store := storeOf([]*corev1.Service{newer, older}, nil)
	owners := func() (got []string) {
		for _, to := range []struct {
			addr     string
			protocol Protocol
			port     uint16
		}{
			{vip, TCP, 80}, {vip, UDP, 53}, {vip, UDP, 80}, {"10.96.0.11", TCP, 80}, {"", TCP, 30080}, {"", UDP, 30053}, {"", TCP, 80}, {"", TCP, 32000},
		} {
			addr, _ := netip.ParseAddr(to.addr)
			name, ok := store.Owner(addr, to.protocol, to.port)
			got = append(got, fmt.Sprint(to.addr, ":", to.port, " ", name.Name, " ", name.Port, " ", ok))
		}
		return got
	}
	want := func(owner string) []string {
		return []string{
			vip + ":80 " + owner + " http true", vip + ":53 " + owner + " dns true", vip + ":80   false", "10.96.0.11:80 newer http true",
			":30080 " + owner + " http true", ":30053 " + owner + " dns true", ":80   false", ":32000   false",
		}
	}
	if diff := cmp.Diff(want("older"), owners()); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	store.DeleteService("default", "older")
	if diff := cmp.Diff(want("newer"), owners()); diff != "" {
		t.Errorf("owners when the older one is gone (-want +got):\n%s", diff)
	}
}

func TestAServiceIsNamedWithItsUID(t *testing.T) {
	store := storeOf([]*corev1.Service{makeService("web")}, nil)
	for name, want := range map[string]Object{
		"web":  {Kind: "Service", Namespace: "default", Name: "web", UID: "uid-1"},
		"gone": {Kind: "Service", Namespace: "default", Name: "gone"},
	} {
		if got := store.ServiceObject("default", name); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

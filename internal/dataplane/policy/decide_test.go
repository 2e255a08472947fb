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

package policy

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

var comparable = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})

func addrPorts(texts ...string) []netip.AddrPort {
	var list []netip.AddrPort
	for _, text := range texts {
		list = append(list, netip.MustParseAddrPort(text))
	}
	return list
}

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func servicePort(protocol model.Protocol) model.ServicePort {
	return model.ServicePort{
		Name:            model.ServicePortName{Namespace: "default", Name: "web", Protocol: protocol},
		Port:            80,
		NodePort:        30080,
		ClusterIPs:      addrs("10.96.0.10", "fd00::a"),
		ExternalIPs:     addrs("192.0.2.1", "2001:db8::1"),
		LoadBalancerIPs: addrs("192.0.2.1", "198.51.100.1"),
	}
}

func TestEndpointsThatTakeNewConnections(t *testing.T) {
	ready := model.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.1:80"), Ready: true, Serving: true}
	unready := model.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.2:80")}
	leaving := model.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.3:80"), Serving: true, Terminating: true}
	gone := model.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.4:80"), Terminating: true}
	early := model.Endpoint{Addr: netip.MustParseAddrPort("10.0.0.5:80"), Ready: true} // publishNotReadyAddresses
	for name, tc := range map[string]struct {
		endpoints       []model.Endpoint
		want, wantKnown []netip.AddrPort
	}{
		"none": {},
		"ready ones only, while there are any; terminating ones keep their flows": {
			endpoints: []model.Endpoint{ready, unready, leaving, gone},
			want:      addrPorts("10.0.0.1:80"), wantKnown: addrPorts("10.0.0.1:80", "10.0.0.3:80"),
		},
		"terminating ones that still answer when no ready one is left": {
			endpoints: []model.Endpoint{unready, leaving, gone},
			want:      addrPorts("10.0.0.3:80"), wantKnown: addrPorts("10.0.0.3:80"),
		},
		"nothing when nobody answers": {endpoints: []model.Endpoint{unready, gone}},
		"an endpoint published before it is ready": {
			endpoints: []model.Endpoint{unready, early},
			want:      addrPorts("10.0.0.5:80"), wantKnown: addrPorts("10.0.0.5:80"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := Decide(servicePort(model.TCP), tc.endpoints, model.IPv4)
			if !ok {
				t.Fatal("no decision")
			}
			if diff := cmp.Diff(tc.want, got.Cluster, comparable); diff != "" {
				t.Errorf("endpoints (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantKnown, got.Known, comparable); diff != "" {
				t.Errorf("known (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEachFamilyHasItsOwnDecision(t *testing.T) {
	port := servicePort(model.TCP)
	v4 := Decision{
		Name: port.Name, Family: model.IPv4, Port: 80, NodePort: 30080,
		ClusterIP: netip.MustParseAddr("10.96.0.10"), ExternalIPs: addrs("192.0.2.1", "198.51.100.1"),
	}
	v6 := Decision{
		Name: port.Name, Family: model.IPv6, Port: 80, NodePort: 30080,
		ClusterIP: netip.MustParseAddr("fd00::a"), ExternalIPs: addrs("2001:db8::1"),
	}
	for _, want := range []Decision{v4, v6} {
		got, ok := Decide(port, nil, want.Family)
		if diff := cmp.Diff(want, got, comparable); !ok || diff != "" {
			t.Errorf("%s: decided %v (-want +got):\n%s", want.Family, ok, diff)
		}
	}
	port.ClusterIPs = addrs("10.96.0.10")
	if _, ok := Decide(port, nil, model.IPv6); ok {
		t.Error("a Service without an IPv6 ClusterIP is proxied for IPv6")
	}
}

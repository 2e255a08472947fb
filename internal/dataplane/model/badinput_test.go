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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func cidrs(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func TestEndpointsInTheServiceCIDRAreNotUsed(t *testing.T) {
	s := storeOf([]*corev1.Service{makeService("web"), makeService("other", clusterIPs("10.96.0.20"))}, []*discoveryv1.EndpointSlice{
		makeSlice("web", "web-1", endpoint("10.96.0.20", ""), endpoint("10.0.0.1", "")),
		makeSlice("other", "other-1", endpoint("10.0.0.2", "")),
	})
	s.TakeDirty()
	s.TakeProblems()
	const web, other = "default/web/TCP 10.96.0.10:80 10.0.0.1:8080/r/s", "default/other/TCP 10.96.0.20:80 10.0.0.2:8080/r/s"
	for _, step := range []struct {
		what         string
		cidrs        []netip.Prefix
		want         []string
		wantDirty    []string
		wantProblems []string
	}{
		{"the ranges become known", cidrs("10.96.0.0/16", "fd00::/108"), []string{other, web}, []string{"default/web/TCP"}, []string{
			"EndpointSlice default/web-1: endpoints: 10.96.0.20 is in the cluster's service CIDR 10.96.0.0/16: " +
				"a Service can not be the endpoint of another; list the endpoints of that Service in its place"}},
		{"they are the same again", cidrs("10.96.0.0/16", "fd00::/108"), []string{other, web}, nil, nil},
		{"one moves away", cidrs("10.97.0.0/16"), []string{other, web + " 10.96.0.20:8080/r/s"}, []string{"default/web/TCP"}, nil},
	} {
		s.SetServiceCIDRs(step.cidrs)
		if diff := cmp.Diff(step.want, describe(s)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
		if diff := cmp.Diff(step.wantDirty, dirty(s)); diff != "" {
			t.Errorf("%s: dirty (-want +got):\n%s", step.what, diff)
		}
		if diff := cmp.Diff(step.wantProblems, describeProblems(s)); diff != "" {
			t.Errorf("%s: problems (-want +got):\n%s", step.what, diff)
		}
	}
}

// crowd is a Service's worth of n endpoints in slices of 1,000.
func crowd(service string, n int) []*discoveryv1.EndpointSlice {
	var list []*discoveryv1.EndpointSlice
	for i := range n {
		if i%1000 == 0 {
			list = append(list, makeSlice(service, fmt.Sprintf("%s-%d", service, i/1000)))
		}
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		endpoint(addr.String(), "")(list[len(list)-1])
	}
	return list
}

func TestACrowdOfEndpointsIsNamed(t *testing.T) {
	slices := crowd("web", 100_000)
	s := storeOf([]*corev1.Service{makeService("web")}, slices)
	if got := len(s.Endpoints(s.Names()[0], IPv4)); got != 100_000 {
		t.Errorf("%d endpoints are known", got)
	}
	want := []string{"Service default/web: spec.ports: TCP port 80 has 100000 IPv4 endpoints, " +
		"no more than 65536 of them take connections; spread them over several Services"}
	if diff := cmp.Diff(want, describeProblems(s)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	for _, eps := range slices[66:] {
		s.DeleteSlice(eps.Namespace, eps.Name)
	}
	s.TakeProblems()
	s.DeleteSlice(slices[65].Namespace, slices[65].Name)
	if problems := describeProblems(s); problems != nil {
		t.Errorf("problems of 65,000 endpoints: %q", problems)
	}
	s.SetSlice(slices[65])
	if problems := describeProblems(s); len(problems) != 1 {
		t.Errorf("problems when they are back: %q, want one", problems)
	}
}

func TestAFloodOfProblemsIsCut(t *testing.T) {
	eps := makeSlice("web", "web-1", endpoint("10.0.0.1", ""))
	for range 1000 {
		endpoint("nonsense", "")(eps)
	}
	s := storeOf([]*corev1.Service{makeService("web")}, []*discoveryv1.EndpointSlice{eps})
	problems := describeProblems(s)
	if len(problems) != maxProblems+1 || !strings.Contains(strings.Join(problems, "\n"), "984 more problems are not listed") {
		t.Errorf("%d problems: %q", len(problems), problems)
	}
	if got := len(s.Endpoints(s.Names()[0], IPv4)); got != 1 {
		t.Errorf("%d endpoints, want the good one", got)
	}
}

func healthChecked(port int32) serviceOption {
	return func(svc *corev1.Service) {
		svc.Spec.Type, svc.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, port
		svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}
}

func TestHealthCheckNodePortsAreClaimedAsNodePortsAre(t *testing.T) {
	s := storeOf([]*corev1.Service{
		makeService("old", clusterIPs("10.96.0.1"), healthChecked(30080),
			ports(corev1.ServicePort{Name: "a", Port: 80, NodePort: 30080}, corev1.ServicePort{Name: "b", Port: 80, Protocol: "UDP", NodePort: 30080})),
		makeService("new", createdAfter(time.Hour), clusterIPs("10.96.0.2"), healthChecked(31000), ports(corev1.ServicePort{Port: 80, NodePort: 30080})),
		makeService("newest", createdAfter(2*time.Hour), clusterIPs("10.96.0.3"), healthChecked(31000)),
		makeService("bad", clusterIPs("10.96.0.4"), healthChecked(70000)),
	}, nil)
	want := []string{
		"default/bad/TCP 10.96.0.4:80", "default/new/TCP 10.96.0.2:80", "default/newest/TCP 10.96.0.3:80",
		"default/old:a/TCP 10.96.0.1:80", "default/old:b/UDP 10.96.0.1:80 nodePort=30080",
	}
	if diff := cmp.Diff(want, describe(s)); diff != "" {
		t.Errorf("ServicePorts (-want +got):\n%s", diff)
	}
	var checked []string
	for _, name := range s.Names() {
		port, _ := s.ServicePort(name)
		checked = append(checked, fmt.Sprintf("%s %d", name.Name, port.Traffic.HealthCheckNodePort))
	}
	if diff := cmp.Diff([]string{"bad 0", "new 31000", "newest 0", "old 30080", "old 30080"}, checked); diff != "" {
		t.Errorf("health checks (-want +got):\n%s", diff)
	}
	wantProblems := []string{
		"Service default/bad: spec.healthCheckNodePort: 70000 is not a port number; re-create the Service to have one allocated",
		"Service default/new: spec: TCP nodePort 30080 belongs to the older Service default/old and leads there; change or delete one of the two",
		"Service default/new: spec: TCP nodePort 31000 is also claimed by the newer Service default/newest, which gets nothing of it; change or delete one of the two",
		"Service default/newest: spec: TCP nodePort 31000 belongs to the older Service default/new and leads there; change or delete one of the two",
		"Service default/old: spec.ports[0].nodePort: TCP port 30080 is used by spec.healthCheckNodePort; remove one of them",
		"Service default/old: spec: TCP nodePort 30080 is also claimed by the newer Service default/new, which gets nothing of it; change or delete one of the two",
	}
	if diff := cmp.Diff(wantProblems, describeProblems(s)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestAServiceDoesNotCompeteWithItself(t *testing.T) {
	s := storeOf([]*corev1.Service{makeService("web", externalIPs("10.96.0.10", "192.0.2.1"), ingress(corev1.LoadBalancerIngress{IP: "192.0.2.1"}))}, nil)
	if diff := cmp.Diff([]string{"default/web/TCP 10.96.0.10:80 vips=[192.0.2.1]"}, describe(s)); diff != "" {
		t.Errorf("ServicePorts (-want +got):\n%s", diff)
	}
	want := []string{"Service default/web: spec.externalIPs[0]: 10.96.0.10 is the Service's own ClusterIP; remove it"}
	if diff := cmp.Diff(want, describeProblems(s)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestTheNamesOfManyNodesAreForgotten(t *testing.T) {
	names := interner{}
	for i := range maxInterned * 2 {
		names.intern(fmt.Sprint("node-", i))
	}
	if len(names) > maxInterned {
		t.Errorf("%d names are remembered", len(names))
	}
	if again := names.intern("x"); again != "x" || names.intern("") != "" {
		t.Errorf("x has become %q", again)
	}
}

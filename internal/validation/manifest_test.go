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

package validation

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestDefault(t *testing.T) {
	for name, tc := range map[string]struct{ from, want corev1.ServiceSpec }{
		"V23 a port and nothing else": {
			from: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
			want: corev1.ServiceSpec{
				Type: corev1.ServiceTypeClusterIP, SessionAffinity: corev1.ServiceAffinityNone, InternalTrafficPolicy: new(corev1.ServiceInternalTrafficPolicyCluster),
				Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(80)}},
			},
		},
		"V23 a load balancer with affinity": {
			from: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, SessionAffinity: corev1.ServiceAffinityClientIP},
			want: corev1.ServiceSpec{
				Type: corev1.ServiceTypeLoadBalancer, SessionAffinity: corev1.ServiceAffinityClientIP, InternalTrafficPolicy: new(corev1.ServiceInternalTrafficPolicyCluster),
				SessionAffinityConfig:         &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(int32(10800))}},
				ExternalTrafficPolicy:         corev1.ServiceExternalTrafficPolicyCluster,
				AllocateLoadBalancerNodePorts: new(true),
			},
		},
		"V23 an alias": {
			from: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "a.b"},
			want: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "a.b", SessionAffinity: corev1.ServiceAffinityNone},
		},
	} {
		t.Run(name, func(t *testing.T) {
			svc := &corev1.Service{Spec: tc.from}
			Default(svc)
			if diff := cmp.Diff(tc.want, svc.Spec); diff != "" {
				t.Errorf("defaults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaultFillsInTheModeOfAnIngress(t *testing.T) {
	svc := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {Hostname: "a.b"}}
	Default(svc)
	if mode := svc.Status.LoadBalancer.Ingress[0].IPMode; mode == nil || *mode != corev1.LoadBalancerIPModeVIP {
		t.Errorf("V23: the mode of an address is %v, want VIP", mode)
	}
	if mode := svc.Status.LoadBalancer.Ingress[1].IPMode; mode != nil {
		t.Errorf("V23: the mode of a name is %v, want none", *mode)
	}
}

func TestManifest(t *testing.T) {
	v4 := Options{IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}}
	for name, tc := range map[string]struct {
		spec corev1.ServiceSpec
		opts Options
		want []string
	}{
		"a port is enough": {spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}},
		"a health check port is allocated": {spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal,
			Ports: []corev1.ServicePort{{Port: 80}}}},
		"clusterIP alone": {spec: corev1.ServiceSpec{ClusterIP: "None"}},
		"V19 two families without a policy": {spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}, IPFamilies: []corev1.IPFamily{"IPv4", "IPv6"}}, want: []string{
			`spec.ipFamilyPolicy: Invalid value: "SingleStack": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified`}},
		"V19 a family that the cluster lacks": {spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}, IPFamilies: []corev1.IPFamily{"IPv6"}}, opts: v4, want: []string{
			`spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster`}},
		"V19 an address of a family that the cluster lacks": {spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}, ClusterIP: "fd00::1"}, opts: v4, want: []string{
			`spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster`}},
		"V19 dual-stack on one family": {spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}, IPFamilyPolicy: new(corev1.IPFamilyPolicyRequireDualStack)}, opts: v4,
			want: []string{`spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services`}},
		"the allocator's objection is all that is said": {spec: corev1.ServiceSpec{ClusterIP: "10.0.0"}, want: []string{
			`spec.clusterIPs[0]: Invalid value: "10.0.0": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`}},
	} {
		t.Run(name, func(t *testing.T) {
			given := &corev1.Service{ObjectMeta: metav1.ObjectMeta{GenerateName: "web-"}, Spec: tc.spec}
			before := given.DeepCopy()
			_, errs := Manifest(given, tc.opts)
			wantErrors(t, errs, tc.want)
			if diff := cmp.Diff(before, given); diff != "" {
				t.Errorf("the manifest was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestValidateIPFamiliesOnUpdate(t *testing.T) {
	after := dual()
	after.Spec.ClusterIPs, after.Spec.IPFamilies = after.Spec.ClusterIPs[:1], after.Spec.IPFamilies[:1]
	wantErrors(t, ValidateIPFamilies(dual(), after, Options{}), []string{
		`spec.ipFamilyPolicy: Invalid value: "RequireDualStack": must be 'SingleStack' to release the secondary cluster IP`,
		`spec.ipFamilyPolicy: Invalid value: "RequireDualStack": must be 'SingleStack' to release the secondary IP family`,
	})
	after = dual()
	after.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicySingleStack)
	wantErrors(t, ValidateIPFamilies(dual(), after, Options{}), nil)
}

func TestServiceHoles(t *testing.T) {
	for name, tc := range map[string]struct {
		from func() *corev1.Service
		edit func(s *corev1.Service)
		want []string
	}{
		"none": {from: web, edit: func(*corev1.Service) {}},
		"S1 loadBalancerIP": {from: balanced, edit: func(s *corev1.Service) { s.Spec.LoadBalancerIP = "lb.example.com" }, want: []string{
			`S1 spec.loadBalancerIP: "lb.example.com" is not an IP address; the server stores whatever stands here`}},
		"S1 in an old spelling": {from: balanced, edit: func(s *corev1.Service) { s.Spec.LoadBalancerIP = "192.0.2.010" }, want: []string{
			`S1 spec.loadBalancerIP: "192.0.2.010" is not an IP address; the server stores whatever stands here`}},
		"S1 IPv4 in IPv6": {from: balanced, edit: func(s *corev1.Service) { s.Spec.LoadBalancerIP = "::ffff:192.0.2.1" }, want: []string{
			`S1 spec.loadBalancerIP: "::ffff:192.0.2.1" is not an IP address; the server stores whatever stands here`}},
		"S1 IPv6": {from: balanced, edit: func(s *corev1.Service) { s.Spec.LoadBalancerIP = "2001:DB8::1" }},
		"S6 as many as may be": {from: web, edit: func(s *corev1.Service) {
			s.Spec.Ports, s.Spec.ExternalIPs = make([]corev1.ServicePort, 1000), addresses(1000)
		}},
		"S6 owners": {from: web, edit: func(s *corev1.Service) { s.OwnerReferences = make([]metav1.OwnerReference, 101) }, want: []string{
			"S6 metadata.ownerReferences: 101 are more than 100, and too many for the admission webhooks to judge: name those that matter"}},
		"S6 more than may be": {from: web, edit: func(s *corev1.Service) {
			s.Spec.Ports, s.Spec.ExternalIPs = make([]corev1.ServicePort, 1001), addresses(1001)
		}, want: []string{
			"S6 spec.ports: 1001 are more than 1000, and too many for the admission webhooks to judge: spread them over several Services",
			"S6 spec.externalIPs: 1001 are more than 1000, and too many for the admission webhooks to judge: spread them over several Services"}},
		"S3 an alias with more": {from: aliased, edit: func(s *corev1.Service) {
			s.Spec.Selector, s.Spec.Ports = map[string]string{"app": "db"}, []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(8080), NodePort: 30000}}
		}, want: []string{"S3 spec.selector: an ExternalName Service is a DNS alias and nothing else; no endpoints are made for the selector",
			"S3 spec.ports[0].nodePort: an ExternalName Service is a DNS alias and nothing else; the number is not reserved, and another Service may get it",
			"S3 spec.ports[0].targetPort: an ExternalName Service is a DNS alias and nothing else; clients reach the port that they ask for"}},
		"S4 twice in two spellings": {from: web, edit: func(s *corev1.Service) {
			s.Spec.ExternalIPs, s.Spec.LoadBalancerSourceRanges = []string{"fd00::1", "192.0.2.1", "FD00:0::1"}, []string{"10.0.0.0/8", " 10.0.0.0/8"}
		}, want: []string{`S4 spec.externalIPs[2]: "FD00:0::1" is there already, as spec.externalIPs[0]`,
			`S4 spec.loadBalancerSourceRanges[1]: " 10.0.0.0/8" is there already, as spec.loadBalancerSourceRanges[0]`}},
		"S5 headless": {from: web, edit: func(s *corev1.Service) {
			without("None")(s)
			s.Spec.InternalTrafficPolicy, s.Spec.TrafficDistribution = new(corev1.ServiceInternalTrafficPolicyLocal), new("PreferSameZone")
		}, want: []string{"S5 spec.internalTrafficPolicy: ignored for headless services: clients connect to the endpoints themselves",
			"S5 spec.trafficDistribution: ignored for headless services: clients connect to the endpoints themselves"}},
	} {
		t.Run(name, func(t *testing.T) {
			svc := tc.from()
			tc.edit(svc)
			var got []string
			for _, hole := range ServiceHoles(svc) {
				got = append(got, hole.ID+" "+hole.Path.String()+": "+hole.Message)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("holes (-want +got):\n%s", diff)
			}
		})
	}
}

// addresses are n of them.
func addresses(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("fd00::%x", i)
	}
	return all
}

func TestEndpointsHoles(t *testing.T) {
	endpoints := &corev1.Endpoints{Subsets: []corev1.EndpointSubset{{Addresses: make([]corev1.EndpointAddress, 9999)}, {NotReadyAddresses: make([]corev1.EndpointAddress, 1)}}}
	if holes := EndpointsHoles(endpoints); len(holes) > 0 {
		t.Errorf("S6 of 10000: %v", holes)
	}
	endpoints.Subsets[0].Addresses = make([]corev1.EndpointAddress, 10000)
	if holes := EndpointsHoles(endpoints); len(holes) != 1 || holes[0].ID != "S6" || holes[0].Path.String() != "subsets" {
		t.Errorf("S6 of 10001: %v", holes)
	}
	endpoints.Subsets = []corev1.EndpointSubset{{Ports: make([]corev1.EndpointPort, 10000)}}
	endpoints.OwnerReferences = make([]metav1.OwnerReference, 100)
	if holes := EndpointsHoles(endpoints); len(holes) > 0 {
		t.Errorf("S6 of 10000 ports and 100 owners: %v", holes)
	}
	endpoints.Subsets = append(endpoints.Subsets, corev1.EndpointSubset{Ports: make([]corev1.EndpointPort, 1)})
	endpoints.OwnerReferences = make([]metav1.OwnerReference, 101)
	if holes := EndpointsHoles(endpoints); len(holes) != 2 || holes[0].Path.String() != "subsets" || holes[1].Path.String() != "metadata.ownerReferences" {
		t.Errorf("S6 of 10001 ports and 101 owners: %v", holes)
	}
}

// The policies say so in a cluster.
func TestSizesAreThoseOfThePolicies(t *testing.T) {
	policy, err := os.ReadFile("../../config/policy/size.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for expression, most := range map[string]int{
		"object.spec.?ports.orValue([]).size() <= %d": maxPorts, "object.spec.?externalIPs.orValue([]).size() <= %d": maxExternalIPs,
		"variables.addresses <= %d": maxEndpointsAddresses, "variables.ports <= %d": maxEndpointsPorts,
		"object.ports.size() <= %d": maxJudgedSlicePorts, "object.metadata.?ownerReferences.orValue([]).size() <= %d": maxOwners,
	} {
		if want := fmt.Sprintf(expression, most) + "\n"; !strings.Contains(string(policy), want) && !strings.Contains(string(policy), strings.TrimSpace(want)+" ") {
			t.Errorf("no %q in the policies", want)
		}
	}
}

func TestEndpointSliceHoles(t *testing.T) {
	port := func(number int32) discoveryv1.EndpointPort { return discoveryv1.EndpointPort{Port: &number} }
	slice := &discoveryv1.EndpointSlice{Ports: []discoveryv1.EndpointPort{{}, port(1), port(65535), port(0), port(65536)}}
	var got []string
	for _, hole := range EndpointSliceHoles(slice) {
		got = append(got, hole.ID+" "+hole.Path.String())
	}
	if diff := cmp.Diff([]string{"S2 ports[3].port", "S2 ports[4].port"}, got); diff != "" {
		t.Errorf("S2 (-want +got):\n%s", diff)
	}
	large := &discoveryv1.EndpointSlice{Ports: make([]discoveryv1.EndpointPort, 1001)}
	large.OwnerReferences = make([]metav1.OwnerReference, 101)
	if holes := EndpointSliceHoles(large); len(holes) != 2 || holes[0].Path.String() != "ports" || holes[1].Path.String() != "metadata.ownerReferences" {
		t.Errorf("S6: %v", holes)
	}
}

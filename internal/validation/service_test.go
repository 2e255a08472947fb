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
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// web is a valid ClusterIP Service as a server stores it.
func web() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", ResourceVersion: "1"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1"},
			IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, IPFamilyPolicy: new(corev1.IPFamilyPolicySingleStack),
			Selector:        map[string]string{"app": "web"},
			Ports:           []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromInt32(8080)}},
			SessionAffinity: corev1.ServiceAffinityNone, InternalTrafficPolicy: new(corev1.ServiceInternalTrafficPolicyCluster),
		},
	}
}

// balanced is a valid LoadBalancer Service with everything that belongs to one.
func balanced() *corev1.Service {
	svc := web()
	svc.Spec.Type, svc.Spec.AllocateLoadBalancerNodePorts = corev1.ServiceTypeLoadBalancer, new(true)
	svc.Spec.ExternalTrafficPolicy, svc.Spec.HealthCheckNodePort = corev1.ServiceExternalTrafficPolicyLocal, 30001
	svc.Spec.Ports[0].NodePort = 30000
	svc.Spec.LoadBalancerClass = new("example.com/lb")
	return svc
}

// aliased is a valid ExternalName Service.
func aliased() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "default", ResourceVersion: "1"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "db.example.com.", SessionAffinity: corev1.ServiceAffinityNone},
	}
}

// dual is a valid dual-stack Service.
func dual() *corev1.Service {
	svc := web()
	svc.Spec.ClusterIPs = []string{"10.0.0.1", "fd00::1"}
	svc.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	svc.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyRequireDualStack)
	return svc
}

func without(clusterIPs ...string) func(*corev1.Service) {
	return func(s *corev1.Service) {
		s.Spec.ClusterIPs, s.Spec.ClusterIP = clusterIPs, ""
		if len(clusterIPs) > 0 {
			s.Spec.ClusterIP = clusterIPs[0]
		}
	}
}

// wantErrors compares whole messages, in order.
func wantErrors(t *testing.T, got field.ErrorList, want []string) {
	t.Helper()
	var texts []string
	for _, err := range got {
		texts = append(texts, err.Error())
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestValidateService(t *testing.T) {
	type svc = *corev1.Service
	clusterIPMalformed := ": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
	for name, tc := range map[string]struct {
		from func() svc
		edit func(s svc)
		opts Options
		want []string
	}{
		"a ClusterIP Service":                         {from: web},
		"a LoadBalancer Service":                      {from: balanced},
		"an ExternalName Service":                     {from: aliased},
		"a dual-stack Service":                        {from: dual},
		"V1 a name may begin with a digit since 1.36": {from: web, edit: func(s svc) { s.Name = "1web" }},
		"V1 a name had to begin with a letter": {from: web, edit: func(s svc) { s.Name = "1web" }, opts: Options{LegacyNames: true}, want: []string{
			`metadata.name: Invalid value: "1web": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')`}},
		"V1 a name": {from: web, edit: func(s svc) { s.Name = "" }, want: []string{"metadata.name: Required value: name or generateName is required"}},
		"V2 topology annotations agree": {from: web, edit: func(s svc) {
			s.Annotations = map[string]string{"service.kubernetes.io/topology-mode": "Auto", "service.kubernetes.io/topology-aware-hints": "auto"}
		}, want: []string{`metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: "Auto": must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified`}},
		"V3 ports":                     {from: web, edit: func(s svc) { s.Spec.Ports = nil }, want: []string{"spec.ports: Required value"}},
		"V3 headless needs no ports":   {from: web, edit: func(s svc) { s.Spec.Ports = nil; without("None")(s) }},
		"V4 headless and LoadBalancer": {from: balanced, edit: without("None"), want: []string{`spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for LoadBalancer services`}},
		"V5 ExternalName with a ClusterIP": {from: aliased, edit: func(s svc) {
			without("10.0.0.1")(s)
			s.Spec.IPFamilies, s.Spec.IPFamilyPolicy = []corev1.IPFamily{corev1.IPv4Protocol}, new(corev1.IPFamilyPolicySingleStack)
		}, want: []string{"spec.clusterIPs: Forbidden: may not be set for ExternalName services", "spec.ipFamilies: Forbidden: may not be set for ExternalName services",
			"spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services"}},
		"V5 externalName": {from: aliased, edit: func(s svc) { s.Spec.ExternalName = "." }, want: []string{"spec.externalName: Required value"}},
		"V6 names of several ports": {from: web, edit: func(s svc) {
			s.Spec.Ports = append(s.Spec.Ports, s.Spec.Ports[0], s.Spec.Ports[0])
			s.Spec.Ports[1].Port, s.Spec.Ports[2].Port, s.Spec.Ports[2].Name = 81, 82, ""
		}, want: []string{`spec.ports[1].name: Duplicate value: "http"`, "spec.ports[2].name: Required value"}},
		"V7 port and protocol": {from: web, edit: func(s svc) { s.Spec.Ports[0].Port, s.Spec.Ports[0].Protocol = 65536, "tcp" }, want: []string{
			"spec.ports[0].port: Invalid value: 65536: must be between 1 and 65535, inclusive",
			`spec.ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"`}},
		"V8 targetPort as a number in quotes": {from: web, edit: func(s svc) { s.Spec.Ports[0].TargetPort = intstr.FromString("80") }, want: []string{
			`spec.ports[0].targetPort: Invalid value: "80": must contain at least one letter (a-z)`}},
		"V8 targetPort and appProtocol": {from: web, edit: func(s svc) {
			s.Spec.Ports[0].TargetPort, s.Spec.Ports[0].AppProtocol = intstr.FromInt32(0), new("a/b/c")
		}, want: []string{"spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
			`spec.ports[0].appProtocol: Invalid value: "a/b/c": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`}},
		"V9 a day is the longest affinity": {from: web, edit: affinity(86400)},
		"V9 more than a day":               {from: web, edit: affinity(86401), want: []string{"spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400"}},
		"V9 a timeout without affinity": {from: web, edit: func(s svc) { affinity(1)(s); s.Spec.SessionAffinity = corev1.ServiceAffinityNone }, want: []string{
			"spec.sessionAffinityConfig: Forbidden: must not be set when session affinity is None"}},
		"V9 affinity without a timeout": {from: web, edit: func(s svc) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP }, want: []string{
			"spec.sessionAffinityConfig: Required value: when session affinity type is ClientIP"}},
		"V10 external IPs": {from: web, edit: func(s svc) {
			s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyCluster
			s.Spec.ExternalIPs = []string{"010.0.0.1", "0.0.0.0", "127.0.0.1", "fe80::1", "224.0.0.1", "192.0.2.1"}
		}, want: []string{`spec.externalIPs[0]: Invalid value: "010.0.0.1": must not have leading 0s`,
			`spec.externalIPs[1]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)`,
			`spec.externalIPs[2]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)`,
			`spec.externalIPs[3]: Invalid value: "fe80::1": may not be in the link-local range (169.254.0.0/16, fe80::/10)`,
			`spec.externalIPs[4]: Invalid value: "224.0.0.1": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)`}},
		"V10 leading zeros before 1.36": {from: web, opts: Options{LegacyAddresses: true}, edit: func(s svc) {
			s.Spec.ExternalTrafficPolicy, s.Spec.ExternalIPs = corev1.ServiceExternalTrafficPolicyCluster, []string{"010.0.0.1"}
		}},
		"V11 type": {from: web, edit: func(s svc) { s.Spec.Type = "clusterip" }, want: []string{
			`spec.type: Unsupported value: "clusterip": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"`}},
		"V12 NodePorts and ports twice": {from: balanced, edit: func(s svc) {
			s.Spec.Ports = append(s.Spec.Ports, s.Spec.Ports[0])
			s.Spec.Ports[1].Name = "again"
		}, want: []string{"spec.ports[1].nodePort: Duplicate value: 30000",
			`spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}`}},
		"V12 a NodePort of a ClusterIP Service": {from: web, edit: func(s svc) { s.Spec.Ports[0].NodePort = 30000 }, want: []string{
			"spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"}},
		"V13 source ranges": {from: web, edit: func(s svc) { s.Spec.LoadBalancerSourceRanges = []string{" 10.0.0.0/8 ", "10.0.0.1/8"} }, want: []string{
			"spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
			`spec.LoadBalancerSourceRanges[1]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length`}},
		"V13 source ranges in the annotation": {from: balanced, edit: func(s svc) {
			s.Annotations = map[string]string{"service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8, x"}
		}, want: []string{`metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`}},
		"V14 fields of load balancers": {from: web, edit: func(s svc) {
			s.Spec.AllocateLoadBalancerNodePorts, s.Spec.LoadBalancerClass = new(true), new("lb")
		}, want: []string{"spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
			"spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"}},
		"V14 the path without the spec": {from: balanced, edit: func(s svc) { s.Spec.AllocateLoadBalancerNodePorts = nil }, want: []string{
			"allocateLoadBalancerNodePorts: Required value"}},
		"V15 a policy without access": {from: web, edit: func(s svc) { s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal }, want: []string{
			`spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services`}},
		"V16 a health check nobody needs": {from: balanced, edit: func(s svc) { s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyCluster }, want: []string{
			"spec.healthCheckNodePort: Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"}},
		"V16 a health check without a port":    {from: balanced, edit: func(s svc) { s.Spec.HealthCheckNodePort = 0 }, want: []string{"spec.healthCheckNodePort: Required value"}},
		"V16 a health check before allocation": {from: balanced, edit: func(s svc) { s.Spec.HealthCheckNodePort = 0 }, opts: Options{Unallocated: true}},
		"V17 policies": {from: web, edit: func(s svc) {
			s.Spec.InternalTrafficPolicy, s.Spec.TrafficDistribution = nil, new("Auto")
		}, want: []string{"spec.internalTrafficPolicy: Required value",
			`spec.trafficDistribution: Unsupported value: "Auto": supported values: "PreferClose", "PreferSameZone", "PreferSameNode"`}},
		"V18 clusterIP and clusterIPs": {from: web, edit: func(s svc) { s.Spec.ClusterIP = "10.0.0.2" }, want: []string{
			"spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: first value must match `clusterIP`"}},
		"V18 clusterIPs alone": {from: web, edit: func(s svc) { s.Spec.ClusterIP = "" }, want: []string{
			"spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: must be empty when `clusterIP` is not specified"}},
		"V18 None beside an address": {from: web, edit: without("None", "10.0.0.1"), want: []string{
			`spec.clusterIPs: Invalid value: ["None","10.0.0.1"]: 'None' must be the first and only value`}},
		"V18 an address is malformed, and only that is said": {from: web, edit: without("10.0.0", "10.0.0.2"), want: []string{
			`spec.clusterIPs[0]: Invalid value: "10.0.0"` + clusterIPMalformed}},
		"V18 two addresses of one family": {from: dual, edit: without("10.0.0.1", "10.0.0.2"), want: []string{
			`spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: may specify no more than one IP for each IP family`,
			"spec.clusterIPs[1]: Invalid value: \"10.0.0.2\": expected an IPv6 value as indicated by `ipFamilies[1]`"}},
		"V19 families and their policy": {from: web, edit: func(s svc) {
			s.Spec.IPFamilies, s.Spec.IPFamilyPolicy = []corev1.IPFamily{"IPv4", "IPv5", "IPv5"}, new(corev1.IPFamilyPolicy("Both"))
		}, want: []string{`spec.ipFamilies[1]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"`,
			`spec.ipFamilies[2]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"`, `spec.ipFamilies[2]: Duplicate value: "IPv5"`,
			`spec.ipFamilyPolicy: Unsupported value: "Both": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.from()
			if tc.edit != nil {
				tc.edit(s)
			}
			before := s.DeepCopy()
			wantErrors(t, ValidateService(s, tc.opts), tc.want)
			if diff := cmp.Diff(before, s); diff != "" {
				t.Errorf("the Service was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func affinity(seconds int32) func(*corev1.Service) {
	return func(s *corev1.Service) {
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &seconds}}
	}
}

func TestValidateServiceUpdate(t *testing.T) {
	type svc = *corev1.Service
	for name, tc := range map[string]struct {
		from         func() svc
		before, edit func(s svc)
		want         []string
	}{
		"nothing changes":                  {from: balanced, edit: func(svc) {}},
		"V1 a name is not looked at again": {from: web, before: func(s svc) { s.Name = "Web" }, edit: func(svc) {}},
		"V10 an external IP that was there": {from: web, before: func(s svc) {
			s.Spec.ExternalTrafficPolicy, s.Spec.ExternalIPs = corev1.ServiceExternalTrafficPolicyCluster, []string{"010.0.0.1"}
		}, edit: func(s svc) { s.Spec.ExternalIPs = append(s.Spec.ExternalIPs, "010.0.0.2") }, want: []string{
			`spec.externalIPs[1]: Invalid value: "010.0.0.2": must not have leading 0s`}},
		"V14 the class stays": {from: balanced, edit: func(s svc) { s.Spec.LoadBalancerClass = new("other") }, want: []string{
			`spec.loadBalancerClass: Invalid value: "other": may not change once set`}},
		"V16 the health check stays": {from: balanced, edit: func(s svc) { s.Spec.HealthCheckNodePort++ }, want: []string{
			"spec.healthCheckNodePort: Forbidden: field is immutable"}},
		"V20 the ClusterIP stays": {from: web, edit: without("10.0.0.2"), want: []string{
			`spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set`}},
		"V20 the ClusterIP goes": {from: web, edit: without(), want: []string{
			`spec.clusterIPs[0]: Invalid value: null: primary clusterIP can not be unset`}},
		"V20 the family stays": {from: web, edit: func(s svc) { s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} }, want: []string{
			`spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set`,
			"spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`"}},
		"V20 the second one goes without being released": {from: dual, edit: func(s svc) {
			s.Spec.ClusterIPs, s.Spec.IPFamilies = s.Spec.ClusterIPs[:1], s.Spec.IPFamilies[:1]
		}, want: []string{`spec.ipFamilyPolicy: Invalid value: "RequireDualStack": must be set to 'SingleStack' when releasing the secondary clusterIP`,
			`spec.ipFamilyPolicy: Invalid value: "RequireDualStack": must be set to 'SingleStack' when releasing the secondary ipFamily`}},
		"V20 the second one is released": {from: dual, edit: func(s svc) {
			s.Spec.ClusterIPs, s.Spec.IPFamilies, s.Spec.IPFamilyPolicy = s.Spec.ClusterIPs[:1], s.Spec.IPFamilies[:1], new(corev1.IPFamilyPolicySingleStack)
		}},
		"V20 everything goes with the type ExternalName": {from: web, edit: func(s svc) { s.Spec = aliased().Spec }},
	} {
		t.Run(name, func(t *testing.T) {
			before := tc.from()
			if tc.before != nil {
				tc.before(before)
			}
			after := before.DeepCopy()
			tc.edit(after)
			wantErrors(t, ValidateServiceUpdate(before, after, Options{}), tc.want)
		})
	}
}

func TestValidateServiceStatusUpdate(t *testing.T) {
	ingress := func(list ...corev1.LoadBalancerIngress) []corev1.LoadBalancerIngress { return list }
	mode := new(corev1.LoadBalancerIPModeVIP)
	for name, tc := range map[string]struct {
		from        func() *corev1.Service
		before, now []corev1.LoadBalancerIngress
		want        []string
	}{
		"V21 an address and a name": {from: balanced, now: ingress(corev1.LoadBalancerIngress{IP: "192.0.2.1", IPMode: mode}, corev1.LoadBalancerIngress{Hostname: "lb.example.com"})},
		"V21 of another type": {from: web, now: ingress(corev1.LoadBalancerIngress{IP: "192.0.2.1", IPMode: mode}), want: []string{
			"status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"}},
		"V21 modes": {from: balanced, now: ingress(corev1.LoadBalancerIngress{IP: "192.0.2.1"}, corev1.LoadBalancerIngress{Hostname: "a.b", IPMode: mode},
			corev1.LoadBalancerIngress{IP: "192.0.2.1", IPMode: new(corev1.LoadBalancerIPMode("DSR"))}), want: []string{
			"status.loadBalancer.ingress[0].ipMode: Required value: must be specified when `ip` is set",
			"status.loadBalancer.ingress[1].ipMode: Forbidden: may not be specified when `ip` is not set",
			`status.loadBalancer.ingress[2].ipMode: Unsupported value: "DSR": supported values: "Proxy", "VIP"`}},
		"V21 an address for a name": {from: balanced, now: ingress(corev1.LoadBalancerIngress{Hostname: "192.0.2.1"}), want: []string{
			`status.loadBalancer.ingress[0].hostname: Invalid value: "192.0.2.1": must be a DNS name, not an IP address`}},
		"V21 an address that was there": {from: balanced, before: ingress(corev1.LoadBalancerIngress{IP: "192.000.2.1", IPMode: mode}),
			now: ingress(corev1.LoadBalancerIngress{IP: "192.000.2.1", IPMode: mode}, corev1.LoadBalancerIngress{IP: "192.0.02.1", IPMode: mode}), want: []string{
				`status.loadBalancer.ingress[1].ip: Invalid value: "192.0.02.1": must not have leading 0s`}},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := tc.from(), tc.from()
			before.Status.LoadBalancer.Ingress, after.Status.LoadBalancer.Ingress = tc.before, tc.now
			wantErrors(t, ValidateServiceStatusUpdate(before, after, Options{}), tc.want)
		})
	}
}

func TestServiceWarnings(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(s *corev1.Service)
		want []string
	}{
		"V22 nothing": {edit: func(*corev1.Service) {}},
		"V22 what headless Services ignore": {edit: func(s *corev1.Service) {
			without("None")(s)
			s.Spec.LoadBalancerIP, s.Spec.ExternalIPs, s.Spec.SessionAffinity = "192.0.2.1", []string{"192.0.2.2"}, corev1.ServiceAffinityClientIP
		}, want: []string{"spec.loadBalancerIP is ignored for headless services", "spec.externalIPs is ignored for headless services",
			"spec.SessionAffinity is ignored for headless services"}},
		"V22 odd spellings": {edit: func(s *corev1.Service) {
			s.Spec.LoadBalancerSourceRanges, s.Spec.LoadBalancerIP = []string{"10.0.0.1/8", "nonsense", "FD00::/8"}, "010.0.0.1"
		}, want: []string{`spec.loadBalancerIP: non-standard IP address "010.0.0.1" is invalid: use "10.0.0.1"`,
			`spec.loadBalancerSourceRanges[0]: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)`,
			`spec.loadBalancerSourceRanges[2]: IPv6 CIDR value "FD00::/8" should be in RFC 5952 canonical format ("fd00::/8")`}},
		"V22 what is deprecated": {edit: func(s *corev1.Service) {
			s.Spec.ExternalIPs, s.Spec.TrafficDistribution = []string{"192.0.2.2"}, new("PreferClose")
			s.Annotations = map[string]string{"service.kubernetes.io/topology-aware-hints": "Auto"}
		}, want: []string{"annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead",
			"spec.externalIPs is deprecated and may no longer be implemented in some clusters",
			`spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"`}},
	} {
		t.Run(name, func(t *testing.T) {
			s := web()
			tc.edit(s)
			var got []string
			for _, w := range ServiceWarnings(s) {
				got = append(got, w.Text)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

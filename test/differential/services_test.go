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

package differential

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// services are valid and complete, one for each kind of Service there is.
func services() []*corev1.Service {
	with := func(spec corev1.ServiceSpec) *corev1.Service {
		spec.SessionAffinity = corev1.ServiceAffinityNone
		if spec.Type != corev1.ServiceTypeExternalName {
			spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyCluster)
			spec.Selector = map[string]string{"app": "web"}
		}
		if len(spec.ClusterIPs) > 0 {
			spec.ClusterIP = spec.ClusterIPs[0]
		}
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", ResourceVersion: "1"}, Spec: spec}
	}
	http := corev1.ServicePort{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromString("http")}
	dns := corev1.ServicePort{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53, TargetPort: intstr.FromInt32(53)}
	exposed := http
	exposed.NodePort = 30000
	v4, v6 := []corev1.IPFamily{corev1.IPv4Protocol}, []corev1.IPFamily{corev1.IPv6Protocol}
	dual := []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	single, prefer, require := new(corev1.IPFamilyPolicySingleStack), new(corev1.IPFamilyPolicyPreferDualStack), new(corev1.IPFamilyPolicyRequireDualStack)
	list := []*corev1.Service{
		with(corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: []string{"10.0.0.1"}, IPFamilies: v4, IPFamilyPolicy: single,
			Ports: []corev1.ServicePort{http}}),
		with(corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: []string{"10.0.0.1", "fd00::1"}, IPFamilies: dual, IPFamilyPolicy: require,
			Ports: []corev1.ServicePort{http, dns}}),
		with(corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: []string{"fd00::1"}, IPFamilies: v6, IPFamilyPolicy: prefer,
			Ports: []corev1.ServicePort{dns}}),
		with(corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: []string{"10.0.0.1"}, IPFamilies: v4, IPFamilyPolicy: single,
			Ports: []corev1.ServicePort{http}, ExternalIPs: []string{"203.0.113.7"}, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyCluster}),
		with(corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: []string{"None"}, IPFamilies: v4, IPFamilyPolicy: single}),
		with(corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: []string{"None"}, IPFamilies: dual, IPFamilyPolicy: require,
			Ports: []corev1.ServicePort{http}}),
		with(corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIPs: []string{"10.0.0.1"}, IPFamilies: v4, IPFamilyPolicy: single,
			Ports: []corev1.ServicePort{exposed}, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal}),
		with(corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.0.0.1", "fd00::1"}, IPFamilies: dual, IPFamilyPolicy: prefer,
			Ports: []corev1.ServicePort{exposed}, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, HealthCheckNodePort: 30005,
			AllocateLoadBalancerNodePorts: new(true), LoadBalancerClass: new("example.com/lb"), LoadBalancerSourceRanges: []string{"10.0.0.0/8"}}),
		with(corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.0.0.1"}, IPFamilies: v4, IPFamilyPolicy: single,
			Ports: []corev1.ServicePort{http}, ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyCluster, AllocateLoadBalancerNodePorts: new(false)}),
		with(corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}),
	}
	for _, svc := range list {
		if svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
			svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.8", IPMode: new(corev1.LoadBalancerIPModeVIP)}, {Hostname: "lb.example.com"}}
		}
	}
	return list
}

// onPort changes one port, if there is one.
func onPort(do func(c chooser, port *corev1.ServicePort)) change[*corev1.Service] {
	return func(c chooser, svc *corev1.Service) {
		if len(svc.Spec.Ports) > 0 {
			do(c, &svc.Spec.Ports[c.IntN(len(svc.Spec.Ports))])
		}
	}
}

func serviceChanges() []change[*corev1.Service] {
	type svc = *corev1.Service
	changes := []change[svc]{
		func(c chooser, s svc) { s.Spec.Type = pick(c, serviceTypes) },
		func(c chooser, s svc) { s.Spec.Ports = nil },
		func(c chooser, s svc) { s.Spec.Ports = append(s.Spec.Ports, anyPort(c)) },
		func(c chooser, s svc) { s.Spec.Ports = append(s.Spec.Ports, s.Spec.Ports...) },
		onPort(func(c chooser, p *corev1.ServicePort) { p.Name = pick(c, portNames) }),
		onPort(func(c chooser, p *corev1.ServicePort) { p.Port = pick(c, ports) }),
		onPort(func(c chooser, p *corev1.ServicePort) { p.Protocol = pick(c, protocols) }),
		onPort(func(c chooser, p *corev1.ServicePort) { p.TargetPort = pick(c, targetPorts) }),
		onPort(func(c chooser, p *corev1.ServicePort) { p.NodePort = pick(c, nodePorts) }),
		onPort(func(c chooser, p *corev1.ServicePort) { p.AppProtocol = maybe(c, appProtocols) }),
		func(c chooser, s svc) { s.Spec.Selector = labels(c) },
		func(c chooser, s svc) { s.Spec.Selector = nil },
		func(c chooser, s svc) { s.Spec.ClusterIP = pick(c, ips) },
		func(c chooser, s svc) { s.Spec.ClusterIPs = some(c, ips) },
		func(c chooser, s svc) { s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, pick(c, ips)) },
		func(c chooser, s svc) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil },
		func(c chooser, s svc) {
			s.Spec.ClusterIPs = some(c, ips)
			s.Spec.ClusterIP = first(s.Spec.ClusterIPs)
		},
		func(c chooser, s svc) {
			s.Spec.ClusterIPs = s.Spec.ClusterIPs[:min(1, len(s.Spec.ClusterIPs))]
		},
		func(c chooser, s svc) { s.Spec.IPFamilies = some(c, families) },
		func(c chooser, s svc) { s.Spec.IPFamilies = s.Spec.IPFamilies[:min(1, len(s.Spec.IPFamilies))] },
		func(c chooser, s svc) { s.Spec.IPFamilyPolicy = maybe(c, familyPolicy) },
		func(c chooser, s svc) { s.Spec.ExternalIPs = some(c, ips) },
		func(c chooser, s svc) { s.Spec.ExternalName = pick(c, externalNames) },
		func(c chooser, s svc) { s.Spec.SessionAffinity = pick(c, affinities) },
		func(c chooser, s svc) { s.Spec.SessionAffinityConfig = affinityConfig(c) },
		func(c chooser, s svc) {
			s.Spec.SessionAffinity, s.Spec.SessionAffinityConfig = corev1.ServiceAffinityClientIP, affinityConfig(c)
		},
		func(c chooser, s svc) { s.Spec.LoadBalancerIP = pick(c, ips) },
		func(c chooser, s svc) { s.Spec.LoadBalancerSourceRanges = some(c, cidrs) },
		func(c chooser, s svc) {
			s.Spec.LoadBalancerSourceRanges = nil
			annotate(s, corev1.AnnotationLoadBalancerSourceRangesKey, pick(c, annotatedCIDRs))
		},
		func(c chooser, s svc) {
			annotate(s, corev1.AnnotationTopologyMode, pick(c, []string{"", "Auto", "auto"}))
			annotate(s, corev1.DeprecatedAnnotationTopologyAwareHints, pick(c, []string{"", "Auto", "auto"}))
		},
		func(c chooser, s svc) { s.Spec.AllocateLoadBalancerNodePorts = maybe(c, []bool{true, false}) },
		func(c chooser, s svc) { s.Spec.LoadBalancerClass = maybe(c, classes) },
		func(c chooser, s svc) { s.Spec.ExternalTrafficPolicy = pick(c, external) },
		func(c chooser, s svc) { s.Spec.HealthCheckNodePort = pick(c, nodePorts) },
		func(c chooser, s svc) { s.Spec.InternalTrafficPolicy = maybe(c, policies) },
		func(c chooser, s svc) { s.Spec.TrafficDistribution = maybe(c, distributions) },
		func(c chooser, s svc) { s.Spec.PublishNotReadyAddresses = true },
	}
	return withMetadata(changes, func(s svc) *metav1.ObjectMeta { return &s.ObjectMeta })
}

func statusChanges() []change[*corev1.Service] {
	type svc = *corev1.Service
	changes := []change[svc]{
		func(c chooser, s svc) { s.Spec.Type = pick(c, serviceTypes) },
		func(c chooser, s svc) { s.Status.LoadBalancer.Ingress = nil },
		func(c chooser, s svc) {
			s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{
				IP: pick(c, ips), IPMode: maybe(c, ipModes),
			})
		},
		func(c chooser, s svc) {
			s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{
				Hostname: pick(c, hostnames), IPMode: maybe(c, ipModes),
			})
		},
	}
	return withMetadata(changes, func(s svc) *metav1.ObjectMeta { return &s.ObjectMeta })
}

func anyPort(c chooser) corev1.ServicePort {
	return corev1.ServicePort{Name: pick(c, portNames), Protocol: pick(c, protocols), Port: pick(c, ports), TargetPort: pick(c, targetPorts), NodePort: pick(c, nodePorts)}
}

func affinityConfig(c chooser) *corev1.SessionAffinityConfig {
	switch c.IntN(4) {
	case 0:
		return nil
	case 1:
		return &corev1.SessionAffinityConfig{}
	}
	return &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: maybe(c, timeouts)}}
}

func annotate(svc *corev1.Service, key, value string) {
	metav1.SetMetaDataAnnotation(&svc.ObjectMeta, key, value)
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

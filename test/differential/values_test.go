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
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The values that fields are given: the right ones, those that are just not
// right, and those that were right once.
var (
	names = []string{"web", "1web", "Web", "a.b", "", "-a", "a-", "a/b", "%2e", "..", "a_b", strings.Repeat("n", 63), strings.Repeat("n", 64),
		strings.Repeat("n.", 130), "ünicode"}
	labelKeys   = []string{"app", "example.com/app", "Example.com/app", "/app", "a/b/c", "", "-app", strings.Repeat("k", 64), "a b"}
	labelValues = []string{"web", "", "-web", "a b", strings.Repeat("v", 64), "ü"}
	ips         = []string{"10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2", "010.0.0.1", "10.000.0.1", "::ffff:10.0.0.1", "FD00::1", "fd00:0:0::1", "127.0.0.1",
		"::1", "0.0.0.0", "::", "169.254.1.1", "fe80::1", "224.0.0.5", "ff02::1", "239.1.1.1", "255.255.255.255", "203.0.113.7", "2001:db8::7",
		"1.2.3", "1.2.3.256", "", " 10.0.0.1", "None", "none", "example.com", "10.0.0.1/32", "fe80::1%eth0", "[fd00::1]"}
	cidrs = []string{"10.0.0.0/8", "10.0.0.1/8", " 10.0.0.0/8 ", "010.0.0.0/8", "10.0.0.0/08", "fd00::/8", "FD00::/8", "fd00::1/64", "::ffff:10.0.0.0/104",
		"0.0.0.0/0", "::/0", "10.0.0.0", "10.0.0.0/33", "", " ", "a/b", "10.0.0.0/8,fd00::/8"}
	annotatedCIDRs = append([]string{"10.0.0.0/8, fd00::/8", "10.0.0.0/8,", ",", "10.0.0.1/8,x"}, cidrs...)
	ports          = []int32{80, 443, 0, 1, 65535, 65536, -1, math.MaxInt32, math.MinInt32}
	nodePorts      = []int32{0, 30000, 30001, 80, -1, 65536, 70000}
	targetPorts    = []intstr.IntOrString{intstr.FromInt32(0), intstr.FromInt32(80), intstr.FromInt32(65536), intstr.FromInt32(-1), intstr.FromString(""),
		intstr.FromString("http"), intstr.FromString("HTTP"), intstr.FromString("a--b"), intstr.FromString("-a"), intstr.FromString("80"),
		intstr.FromString("a-name-of-16-let"), intstr.FromString("ü"), {Type: 7}}
	portNames    = []string{"", "http", "https", "HTTP", "a.b", "-a", "80", strings.Repeat("p", 64)}
	protocols    = []corev1.Protocol{"", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP, "tcp", "ICMP"}
	appProtocols = []string{"http", "kubernetes.io/h2c", "", "a b", "a/b/c", strings.Repeat("x", 64)}
	serviceTypes = []corev1.ServiceType{"", corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer,
		corev1.ServiceTypeExternalName, "clusterip"}
	externalNames = []string{"", "example.com", "example.com.", "example.com..", ".", "Example.com", "10.0.0.1", "a_b.com", strings.Repeat("a.", 127) + "a"}
	affinities    = []corev1.ServiceAffinity{"", corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP, "Cookie"}
	timeouts      = []int32{1, 0, -1, 10800, 86399, 86400, 86401}
	external      = []corev1.ServiceExternalTrafficPolicy{"", corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal, "Node"}
	policies      = []corev1.ServiceInternalTrafficPolicy{"", corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal, "Node"}
	distributions = []string{"", corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameNode,
		corev1.ServiceTrafficDistributionPreferSameZone, "Auto"}
	families     = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol, "", "IPv5"}
	familyPolicy = []corev1.IPFamilyPolicy{corev1.IPFamilyPolicySingleStack, corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack, "", "Dual"}
	classes      = []string{"example.com/lb", "lb", "", "a b", "a/b/c", "Example.com/lb"}
	ipModes      = []corev1.LoadBalancerIPMode{"", corev1.LoadBalancerIPModeVIP, corev1.LoadBalancerIPModeProxy, "DSR"}
	hostnames    = append([]string{"lb.example.com", "10.0.0.1", "010.0.0.1", "fd00::1"}, names...)
	finalizers   = []string{"example.com/f", "kubernetes", "orphan", "foregroundDeletion", "mine", "a b", "/", ""}
	addressTypes = []discoveryv1.AddressType{"", discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN, "IPv5", "ipv4"}
	fqdns        = []string{"example.com", "example.com.", "com", "-a.com", ""}
)

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
	"fmt"
	"slices"
	"strings"
	"testing"
)

func nodePortField(i int) string { return fmt.Sprintf("spec.ports[%d].nodePort", i) }

// rule is an error that the generated objects have to have: part of its path,
// as printed, and part of its text, which has the type in it.
type rule struct{ id, path, text string }

// report prints what was done.
func (c *tally) report(t *testing.T) {
	t.Helper()
	total := 0
	for _, n := range c.seen {
		total += n
	}
	t.Logf("%d comparisons, %d without an error; %d errors and warnings, %d of them different", c.compared, c.accepted, total, len(c.seen))
}

// hit fails where a rule was never broken: what is not generated is not compared.
func (c *tally) hit(t *testing.T, rules []rule) {
	t.Helper()
	for _, rule := range rules {
		n := 0
		for p, times := range c.seen {
			if strings.Contains(withoutIndices(p.Field), rule.path) && strings.Contains(p.Message, rule.text) {
				n += times
			}
		}
		if n == 0 {
			t.Errorf("no generated object breaks %s: %s: %s", rule.id, rule.path, rule.text)
		}
		if testing.Verbose() {
			t.Logf("%-4s %-60s %-70s %6d", rule.id, rule.path, rule.text, n)
		}
	}
}

// withoutIndices writes ports[3].name as ports[].name.
func withoutIndices(path string) string {
	var out strings.Builder
	for _, part := range strings.SplitAfter(path, "[") {
		if i := strings.Index(part, "]"); i > 0 && strings.Trim(part[:i], "0123456789") == "" {
			part = part[i:]
		}
		out.WriteString(part)
	}
	return out.String()
}

// both are rules of two paths.
func both(lists ...[]rule) []rule { return slices.Concat(lists...) }

var reservedRules = func(id, path string) []rule {
	return []rule{
		{id, path, "may not be unspecified"}, {id, path, "may not be in the loopback range"}, {id, path, "may not be in the link-local range"},
		{id, path, "may not be in the link-local multicast range"},
	}
}

var serviceRules = both([]rule{
	{"V1", "metadata.name", "lower case alphanumeric"}, {"V1", "metadata.name", "field is immutable"}, {"V1", "metadata.generateName", "Invalid"},
	{"V2", "metadata.annotations[service.kubernetes.io/topology-mode]", "must match annotations[service.kubernetes.io/topology-aware-hints]"},
	{"V3", "spec.ports", "Required"},
	{"V4", "spec.clusterIPs[]", "may not be set to 'None' for LoadBalancer services"}, {"V4", "spec.clusterIPs[]", "may not be set to 'None' for NodePort services"},
	{"V5", "spec.clusterIPs", "Forbidden: may not be set for ExternalName"}, {"V5", "spec.ipFamilies", "Forbidden: may not be set for ExternalName"},
	{"V5", "spec.ipFamilyPolicy", "Forbidden: may not be set for ExternalName"}, {"V5", "spec.externalName", "Required"}, {"V5", "spec.externalName", "Invalid"},
	{"V6", "spec.ports[].name", "Required"}, {"V6", "spec.ports[].name", "Invalid"}, {"V6", "spec.ports[].name", "Duplicate"},
	{"V7", "spec.ports[].port", "must be between 1 and 65535"}, {"V7", "spec.ports[].protocol", "Required"}, {"V7", "spec.ports[].protocol", "Unsupported"},
	{"V8", "spec.ports[].targetPort", "must be between 1 and 65535"}, {"V8", "spec.ports[].targetPort", "must be no more than 15 characters"},
	{"V8", "spec.ports[].targetPort", "must contain only alpha-numeric"}, {"V8", "spec.ports[].targetPort", "must contain at least one letter"},
	{"V8", "spec.ports[].targetPort", "must not contain consecutive hyphens"}, {"V8", "spec.ports[].targetPort", "must not begin or end with a hyphen"},
	{"V8", "spec.ports[].targetPort", "Internal error: unknown type"}, {"V8", "spec.ports[].appProtocol", "Invalid"},
	{"V9", "spec.selector", "Invalid"}, {"V9", "spec.sessionAffinity", "Required"}, {"V9", "spec.sessionAffinity", "Unsupported"},
	{"V9", "spec.sessionAffinityConfig", "Required value: when session affinity type is ClientIP"},
	{"V9", "spec.sessionAffinityConfig.clientIP", "Required"}, {"V9", "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "Required"},
	{"V9", "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "must be greater than 0 and less than 86400"},
	{"V9", "spec.sessionAffinityConfig", "Forbidden: must not be set when session affinity is None"},
	{"V10", "spec.externalIPs[]", "must be a valid IP address"}, {"V10", "spec.externalIPs[]", "must not have leading 0s"},
	{"V10", "spec.externalIPs[]", "must not be an IPv4-mapped IPv6 address"},
	{"V11", "spec.type", "Required"}, {"V11", "spec.type", "Unsupported"},
	{"V12", "spec.ports[].nodePort", "Forbidden"}, {"V12", "spec.ports[].nodePort", "Duplicate"}, {"V12", "spec.ports[]", "Duplicate value: {"},
	{"V13", "spec.LoadBalancerSourceRanges", "Forbidden"}, {"V13", "spec.LoadBalancerSourceRanges[]", "must be a valid CIDR"},
	{"V13", "spec.LoadBalancerSourceRanges[]", "must not have bits set"}, {"V13", "spec.LoadBalancerSourceRanges[]", "must not have leading 0s"},
	{"V13", "spec.LoadBalancerSourceRanges[]", "must not have an IPv4-mapped"},
	{"V13", "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]", "Forbidden"},
	{"V13", "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]", "must be a valid CIDR"},
	{"V14", "spec.allocateLoadBalancerNodePorts", "Forbidden"}, {"V14", "allocateLoadBalancerNodePorts", "Required"},
	{"V14", "spec.loadBalancerClass", "Forbidden"}, {"V14", "spec.loadBalancerClass", "name part"}, {"V14", "spec.loadBalancerClass", "may not change once set"},
	{"V15", "spec.externalTrafficPolicy", "may only be set for externally-accessible services"}, {"V15", "spec.externalTrafficPolicy", "Required"},
	{"V15", "spec.externalTrafficPolicy", "Unsupported"},
	{"V16", "spec.healthCheckNodePort", "may only be set when"}, {"V16", "spec.healthCheckNodePort", "Required"},
	{"V16", "spec.healthCheckNodePort", "must be between"}, {"V16", "spec.healthCheckNodePort", "Forbidden: field is immutable"},
	{"V17", "spec.internalTrafficPolicy", "Required"}, {"V17", "spec.internalTrafficPolicy", "Unsupported"}, {"V17", "spec.trafficDistribution", "Unsupported"},
	{"V18", "spec.clusterIPs", "Required"}, {"V18", "spec.clusterIPs", "first value must match `clusterIP`"},
	{"V18", "spec.clusterIPs", "must be empty when `clusterIP` is not specified"}, {"V18", "spec.clusterIPs", "'None' must be the first and only value"},
	{"V18", "spec.clusterIPs", "may only hold up to 2 values"}, {"V18", "spec.clusterIPs", "may specify no more than one IP for each IP family"},
	{"V18", "spec.clusterIPs[]", "expected an IPv4 value as indicated"}, {"V18", "spec.clusterIPs[]", "expected an IPv6 value as indicated"},
	{"V18", "spec.clusterIPs[]", "must be a valid IP address"}, {"V18", "spec.clusterIPs", "Internal error: failed to check for dual stack"},
	{"V19", "spec.ipFamilies[]", "Unsupported"}, {"V19", "spec.ipFamilies[]", "Duplicate"}, {"V19", "spec.ipFamilyPolicy", "Unsupported"},
	{"V20", "spec.clusterIPs[]", "may not change once set"}, {"V20", "spec.ipFamilies[]", "may not change once set"},
	{"V20", "spec.clusterIPs[]", "primary clusterIP can not be unset"}, {"V20", "spec.ipFamilies[]", "primary ipFamily can not be unset"},
	{"V20", "spec.ipFamilyPolicy", "must be set to 'SingleStack' when releasing the secondary clusterIP"},
	{"V20", "spec.ipFamilyPolicy", "must be set to 'SingleStack' when releasing the secondary ipFamily"},
	{"V21", "status.loadBalancer.ingress", "Forbidden: may only be used when `spec.type`"}, {"V21", "status.loadBalancer.ingress[].ip", "must be a valid IP"},
	{"V21", "status.loadBalancer.ingress[].ipMode", "Required"}, {"V21", "status.loadBalancer.ingress[].ipMode", "Forbidden"},
	{"V21", "status.loadBalancer.ingress[].ipMode", "Unsupported"}, {"V21", "status.loadBalancer.ingress[].hostname", "must be a DNS name, not an IP address"},
	{"V21", "status.loadBalancer.ingress[].hostname", "subdomain"},
	{"V22", "", "is deprecated, please use"}, {"V22", "", "spec.loadBalancerIP is ignored for headless"}, {"V22", "", "spec.externalIPs is ignored for headless"},
	{"V22", "", "spec.SessionAffinity is ignored for headless"}, {"V22", "", "spec.externalIPs is deprecated"}, {"V22", "", "spec.externalName is ignored"},
	{"V22", "", "spec.externalIPs is ignored when"}, {"V22", "", "use \"PreferSameZone\""}, {"V22", "", "non-standard IP address"},
	{"V22", "", "non-standard CIDR value"}, {"V22", "", "is ambiguous in this context"}, {"V22", "", "should be in RFC 5952 canonical format"},
	{"meta", "metadata.namespace", "Required"}, {"meta", "metadata.labels", "Invalid"}, {"meta", "metadata.finalizers[]", "neither a standard finalizer"},
	{"meta", "metadata.ownerReferences[].kind", "Required"}, {"meta", "metadata.resourceVersion", "must be specified for an update"},
}, reservedRules("V10", "spec.externalIPs[]"))

var endpointsRules = both([]rule{
	{"V30", "metadata.name", "subdomain"}, {"V30", "subsets[]", "Required value: must specify `addresses` or `notReadyAddresses`"},
	{"V30", "subsets[].addresses[].ip", "must be a valid IP address"}, {"V30", "subsets[].addresses[].ip", "must not have leading 0s"},
	{"V30", "subsets[].addresses[].hostname", "Invalid"}, {"V30", "subsets[].addresses[].nodeName", "Invalid"},
	{"V30", "subsets[].notReadyAddresses[].ip", "must be a valid IP address"}, {"V30", "subsets[].notReadyAddresses[].hostname", "Invalid"},
	{"V30", "subsets[].ports[].name", "Required"}, {"V30", "subsets[].ports[].name", "Invalid"}, {"V30", "subsets[].ports[].port", "must be between"},
	{"V30", "subsets[].ports[].protocol", "Required"}, {"V30", "subsets[].ports[].protocol", "Unsupported"}, {"V30", "subsets[].ports[].appProtocol", "Invalid"},
	{"V30", "", "non-standard IP address"},
}, reservedRules("V30", "subsets[].addresses[].ip"))

var sliceRules = both([]rule{
	{"V31", "addressType", "Required"}, {"V31", "addressType", "Unsupported"}, {"V31", "addressType", "field is immutable"},
	{"V31", "endpoints", "must have at most 1000 items"}, {"V31", "endpoints[].addresses", "Required"}, {"V31", "endpoints[].addresses", "must have at most 100 items"},
	{"V31", "endpoints[].addresses", "must be an IPv4 address"}, {"V31", "endpoints[].addresses", "must be an IPv6 address"},
	{"V31", "endpoints[].addresses[]", "must be in canonical form"}, {"V31", "endpoints[].addresses[]", "must be a valid IP address"},
	{"V31", "endpoints[].addresses[]", "should be a domain with at least two segments"},
	{"V31", "endpoints[].hostname", "Invalid"}, {"V31", "endpoints[].nodeName", "Invalid"},
	{"V31", "endpoints[].deprecatedTopology", "must have at most 16 items"}, {"V31", "endpoints[].deprecatedTopology", "Invalid"},
	{"V31", "endpoints[].hints.forZones", "must have at most 8 items"}, {"V31", "endpoints[].hints.forNodes", "must have at most 8 items"},
	{"V31", "endpoints[].hints.forZones[].name", "Duplicate"}, {"V31", "endpoints[].hints.forNodes[].name", "Duplicate"},
	{"V31", "endpoints[].hints.forZones[].name", "Invalid"}, {"V31", "endpoints[].hints.forNodes[].name", "Invalid"},
	{"V31", "ports", "must have at most 20000 items"}, {"V31", "ports[].name", "Duplicate"}, {"V31", "ports[].name", "Invalid"},
	{"V31", "ports[].protocol", "Required"}, {"V31", "ports[].protocol", "Unsupported"}, {"V31", "ports[].appProtocol", "Invalid"},
	{"V31", "", "FQDN endpoints are deprecated"}, {"V31", "", "non-standard IP address"},
}, reservedRules("V31", "endpoints[].addresses[]"))

// familyRules are the allocator's and those of updates, whatever families there are.
var familyRules = []rule{
	{"V19", "spec.ipFamilyPolicy", "when multiple cluster IPs are specified"}, {"V19", "spec.ipFamilyPolicy", "when multiple IP families are specified"},
	{"V19", "spec.ipFamilyPolicy", "must be 'SingleStack' to release the secondary cluster IP"},
	{"V19", "spec.ipFamilyPolicy", "must be 'SingleStack' to release the secondary IP family"},
	{"V1", "metadata.name", "Invalid"}, {"V12", "spec.ports[].nodePort", "Forbidden"}, {"V3", "spec.ports", "Required"},
	{"V14", "spec.loadBalancerClass", "may not change once set"}, {"V16", "spec.healthCheckNodePort", "field is immutable"},
	{"V20", "spec.clusterIPs[]", "may not change once set"}, {"V20", "spec.ipFamilies[]", "may not change once set"},
}

var clusterRules = map[string][]rule{
	"IPv4": both(familyRules, []rule{
		{"V19", "spec.ipFamilies[]", "not configured on this cluster"}, {"V19", "spec.clusterIPs[]", "IPv6 is not configured on this cluster"},
		{"V19", "spec.ipFamilyPolicy", "this cluster is not configured for dual-stack services"},
	}),
	"IPv6 and IPv4": familyRules,
}

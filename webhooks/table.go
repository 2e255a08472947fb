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

package webhooks

// The rules that read other objects than the one being written.
var (
	RuleExternalIPInUse = Rule{ID: "X1", Name: "external-ip-in-use", Default: Deny,
		Summary: "an external IP and port is served by another Service"}
	RuleLoadBalancerIPInUse = Rule{ID: "X2", Name: "load-balancer-ip-in-use", Default: Deny,
		Summary: "a load-balancer IP and port is served by another Service"}
	RuleAddressReserved = Rule{ID: "X3", Name: "address-reserved", Default: Deny,
		Summary: "an external or load-balancer IP is a ClusterIP, in a ServiceCIDR, or the API server's"}
	RuleAddressOfNode = Rule{ID: "X4", Name: "address-of-node", Default: Deny,
		Summary: "an external IP has a port of a node that something listens at, or an external or load-balancer IP is a pod's or in a node's podCIDRs"}
	RuleAddressPool = Rule{ID: "X5", Name: "address-pool", Default: Deny,
		Summary: "an external IP, a requested load-balancer IP or a ClusterIP is not of a pool for the Service (CVE-2020-8554)"}
	RuleHostPort = Rule{ID: "X6", Name: "host-port-in-use", Default: Deny,
		Summary: "a node port is one that a pod, the kubelet or the control plane listens at on the nodes"}
	RulePortPool = Rule{ID: "X7", Name: "port-pool", Default: Deny,
		Summary: "a node port is outside the namespace's PortPools, in another's, or reserved for another Service"}
	RuleEndpointIsService = Rule{ID: "X8", Name: "endpoint-is-service", Default: Deny,
		Summary: "an endpoint's address is one that a Service answers at"}
	RuleForeignPod = Rule{ID: "X9", Name: "foreign-pod", Default: Deny,
		Summary: "an endpoint's address is that of a pod of another namespace (CVE-2021-25740)"}
	RuleSliceUnmanaged = Rule{ID: "X10", Name: "slice-unmanaged", Default: Deny,
		Summary: "an EndpointSlice that nobody manages adds endpoints to a Service with a selector"}
	RuleTargetPortMissing = Rule{ID: "X11", Name: "target-port-missing", Default: Warn,
		Summary: "matching pods do not declare a named targetPort with the port's protocol"}
	RuleSelectorInUse = Rule{ID: "X12", Name: "selector-in-use", Default: Warn,
		Summary: "another Service of the namespace has the same selector, or a changed selector matches no pod"}
	RuleFamilyMissing = Rule{ID: "X13", Name: "family-missing", Default: Warn,
		Summary: "no matching pod has an address of one of the Service's families"}
	RuleEnvironment = Rule{ID: "X14", Name: "environment", Default: Warn,
		Summary: "the environment variables of foo and foo-service collide in pods"}
	RuleExternalNameTarget = Rule{ID: "X15", Name: "external-name-target", Default: Deny,
		Summary: "an ExternalName leads to itself, to localhost, or with ports to a name of the cluster"}
	RuleHostname = Rule{ID: "X16", Name: "hostname-in-use", Default: Warn,
		Summary: "two pods of a headless Service have one hostname"}
	RuleLoadBalancerClass = Rule{ID: "X17", Name: "load-balancer-class", Default: Warn,
		Summary: "no controller is known to serve the loadBalancerClass"}
	RuleSharing = Rule{ID: "X18", Name: "sharing", Default: Warn,
		Summary: "a sharing key has only one side's consent, or joins Local Services with other endpoints"}
	RuleNodePortHeld = Rule{ID: "X20", Name: "node-port-held", Default: Deny,
		Summary: "a node port that the API server gave out is held by another Service"}
	RuleExternalIPOfNode = Rule{ID: "X21", Name: "external-ip-of-node", Default: Warn,
		Summary: "an external IP is a node's own address"}
	RuleRangeOverlap = Rule{ID: "X19", Name: "range-overlap", Default: Deny,
		Summary: "a ServiceCIDR or pool overlaps with pods, nodes, Services or another pool"}
)

// Table lists every rule, in the order of their numbers.
func Table() []Rule {
	return []Rule{
		RuleExternalIPInUse, RuleLoadBalancerIPInUse, RuleAddressReserved, RuleAddressOfNode, RuleAddressPool, RuleHostPort, RulePortPool,
		RuleEndpointIsService, RuleForeignPod, RuleSliceUnmanaged, RuleTargetPortMissing, RuleSelectorInUse, RuleFamilyMissing,
		RuleEnvironment, RuleExternalNameTarget, RuleHostname, RuleLoadBalancerClass, RuleSharing, RuleRangeOverlap, RuleNodePortHeld,
		RuleExternalIPOfNode,
	}
}

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

package diagnosis

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func localInternal(f *Facts) {
	f.Service.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
}

func localNodePort(f *Facts) {
	f.Service.Spec.Type, f.Service.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, 30080
	f.Service.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
}

func onN1(f *Facts) { f.eachPod(func(pod *corev1.Pod) { pod.Spec.NodeName = "n1" }) }

func TestTrafficPolicies(t *testing.T) {
	both := func(changes ...func(*Facts)) func(*Facts) {
		return func(f *Facts) {
			for _, change := range changes {
				change(f)
			}
		}
	}
	client := func(node string) func(*Facts) {
		return func(f *Facts) {
			f.Client = &Client{Pod: clientPod("shop")}
			f.Client.Pod.Spec.NodeName = node
		}
	}
	const reason = TrafficPolicyLocalWithoutLocalEndpoints
	examined(t, map[string]outcome{
		"an endpoint on each node":              {state: OK, change: localInternal},
		"an endpoint on each node, for outside": {state: OK, change: localNodePort},
		"a control plane that runs nobody's pods": {state: OK, change: both(localInternal, func(f *Facts) {
			f.Nodes = append(f.Nodes, node("control"))
			f.Nodes[2].Labels = map[string]string{"node-role.kubernetes.io/control-plane": ""}
			f.Nodes[2].Spec.Taints = []corev1.Taint{{Effect: corev1.TaintEffectNoSchedule}}
		})},
		"a node that is away": {state: OK, change: both(localInternal, func(f *Facts) {
			f.Nodes = append(f.Nodes, node("n3"))
			f.Nodes[2].Status.Conditions[0].Status = corev1.ConditionUnknown
		})},
		"a node that load balancers are not to ask": {state: OK, change: both(localNodePort, func(f *Facts) {
			f.Nodes = append(f.Nodes, node("n3"))
			f.Nodes[2].Labels = map[string]string{corev1.LabelNodeExcludeBalancers: ""}
		})},
		"a load balancer knows by its health check": {state: OK, check: CheckTraffic, message: "1 node has endpoints, as spec.externalTrafficPolicy Local needs", details: []string{"has no endpoint (n2); the load balancer's health check leaves these out"}, change: both(onN1, func(f *Facts) {
			loadBalancer(f, "192.0.2.1")
			f.Service.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		})},
		"pods do not leave the cluster":     {state: OK, change: both(localNodePort, onN1, client("n2"))},
		"the client's node has an endpoint": {state: OK, change: both(localInternal, onN1, client("n1"))},
		"one that leaves is better than none": {state: OK, change: both(localInternal, func(f *Facts) {
			f.eachPod(func(pod *corev1.Pod) { pod.Spec.NodeName = "n1" })
			f.Selected[0].Spec.NodeName, f.Selected[0].DeletionTimestamp = "n2", new(ago(0))
		})},
		"a node without, for outside": {state: Warning, check: CheckTraffic, want: reason, says: []string{"spec.externalTrafficPolicy is Local, and 1 of 2 nodes has no endpoint (n2)"}, change: both(localNodePort, onN1)},
		"many nodes without": {state: Warning, check: CheckTraffic, want: reason, says: []string{"4 of 5 nodes have no endpoint (n2, n3, n4 and 1 more)"}, details: []string{"node n5 has no endpoint"}, change: both(localInternal, onN1, func(f *Facts) {
			f.Nodes = append(f.Nodes, node("n3"), node("n4"), node("n5"))
		})},
		"the only node without": {state: Problem, check: CheckTraffic, want: reason, says: []string{"and the only node has no endpoint (n1)"}, change: both(localInternal, func(f *Facts) {
			f.noSelectorNorPods()
			f.Slices = append(f.Slices, byHand("", "192.0.2.5", "http", 8080))
			f.Slices[0].Endpoints[0].NodeName, f.Nodes = new("away"), f.Nodes[:1]
		})},
		"a node without":             {state: Warning, check: CheckTraffic, want: reason, says: []string{"spec.internalTrafficPolicy is Local", "change spec.internalTrafficPolicy to Cluster"}, change: both(localInternal, onN1)},
		"the node that asks without": {state: Problem, check: CheckTraffic, want: reason, says: []string{"spec.internalTrafficPolicy is Local, and node n2 has no endpoint; run"}, change: both(localInternal, onN1, func(f *Facts) { f.Client = nodeClient("n2") })},
		"the client's node without":  {state: Problem, check: CheckTraffic, want: reason, says: []string{"node n2 of pod client has no endpoint"}, change: both(localInternal, onN1, client("n2"))},
		"all other nodes that are asked without": {state: Warning, check: CheckTraffic, want: reason, change: both(localNodePort, onN1, func(f *Facts) {
			f.Nodes[0].Labels = map[string]string{corev1.LabelNodeExcludeBalancers: ""}
		})},
		"endpoints that are on no node": {state: Problem, check: CheckTraffic, want: reason, says: []string{"no endpoint is on a node of the cluster"}, change: both(localInternal, func(f *Facts) {
			f.noSelectorNorPods()
			f.Slices = append(f.Slices, byHand("", "192.0.2.5", "http", 8080))
		})},
		"nodes that could not be seen": {state: Unknown, check: CheckTraffic, want: NotSeen, says: []string{"Nodes could not be read: forbidden."}, change: both(localInternal, func(f *Facts) {
			f.Nodes, f.Unseen = nil, map[Kind]string{Nodes: "forbidden."}
		})},
	})
}

func TestSourceRanges(t *testing.T) {
	ranges := func(texts ...string) func(*Facts) {
		return func(f *Facts) {
			loadBalancer(f, "192.0.2.1")
			f.Service.Spec.LoadBalancerSourceRanges = texts
		}
	}
	from := func(address string, texts ...string) func(*Facts) {
		return func(f *Facts) {
			ranges(texts...)(f)
			f.Client = outside(address)
		}
	}
	examined(t, map[string]outcome{
		"some":                         {state: OK, change: ranges("203.0.113.0/24")},
		"one with spaces":              {state: OK, change: ranges(" 203.0.113.0/24 ")},
		"the client is in":             {state: OK, change: from("203.0.113.7", "10.0.0.0/8", "203.0.113.0/24")},
		"they are of no load balancer": {state: OK, change: func(f *Facts) { f.Service.Spec.LoadBalancerSourceRanges = []string{"nonsense"} }},
		"one of two is not valid":      {state: OK, check: CheckSources, details: []string{"without effect: nonsense"}, change: ranges("203.0.113.0/24", "nonsense")},
		"the client's family is open": {state: OK, check: CheckSources, message: "203.0.113.0/24", change: func(f *Facts) {
			from("2001:db8::1", "203.0.113.0/24")(f)
			f.dualStack()
		}},
		"the client is out of all": {state: Problem, check: CheckSources, want: SourceNotAllowed, says: []string{"load balancer 192.0.2.1 is closed to 203.0.113.7: spec.loadBalancerSourceRanges has 10.0.0.0/8; add"}, change: func(f *Facts) {
			from("203.0.113.7", "10.0.0.0/8")(f)
			f.Service.Spec.Ports[0].NodePort, f.Service.Spec.AllocateLoadBalancerNodePorts = 0, new(false)
		}},
		"the client is out of the load balancer's": {state: Warning, check: CheckSources, want: SourceNotAllowed, says: []string{"has 10.0.0.0/8, to which NodePort 30080 for port http (80) and external IP 192.0.2.77 are not held"}, change: func(f *Facts) {
			from("203.0.113.7", "10.0.0.0/8")(f)
			f.Service.Spec.ExternalIPs = []string{"192.0.2.77"}
		}},
		"what is pending is closed to nobody": {state: Warning, check: CheckAddresses, want: LoadBalancerPending, change: func(f *Facts) {
			from("203.0.113.7", "10.0.0.0/8")(f)
			f.Service.Status.LoadBalancer.Ingress = nil
		}},
		"none is valid":           {state: Warning, check: CheckSources, want: InvalidSourceRanges, says: []string{"no valid range (203.0.113.7)"}, change: ranges("203.0.113.7")},
		"all of the other family": {state: Warning, check: CheckSources, want: InvalidSourceRanges, says: []string{"no range of IPv4"}, change: ranges("2001:db8::/32")},
	})
}

func TestAgents(t *testing.T) {
	well := Agent{Name: "switchyard-node", Healthy: true, Synced: true, Asked: true}
	with := func(n1, n2 Agent) func(*Facts) {
		return func(f *Facts) { f.Agents = map[string]Agent{"n1": n1, "n2": n2} }
	}
	sick, behind := well, well
	sick.Healthy, sick.Problem = false, "nft: no such file."
	behind.Synced = false
	examined(t, map[string]outcome{
		"all well":     {state: OK, change: with(well, well)},
		"one not well": {state: Warning, check: CheckAgents, want: AgentUnhealthy, says: []string{"node n2 may know an older state of it, or nothing: switchyard-node on node n2 is not healthy (nft: no such file)"}, change: with(well, sick)},
		"one behind":   {state: Warning, check: CheckAgents, want: AgentNotSynced, says: []string{"switchyard-node on node n1 is not ready, and may not have programmed all"}, change: with(behind, well)},
		"none well":    {state: Warning, check: CheckAgents, want: AgentUnhealthy, says: []string{"nodes n1 and n2 may know an older state"}, change: with(sick, behind)},
		"the client's": {state: Warning, check: CheckAgents, want: AgentNotSynced, says: []string{"switchyard-node on node n1 is not ready, and may not"}, change: func(f *Facts) {
			with(behind, well)(f)
			f.Client = &Client{Pod: clientPod("shop")}
			f.Client.Pod.Spec.NodeName = "n1"
		}},
		"another than the client's": {state: OK, check: CheckAgents, details: []string{"switchyard-node on node n2 is not healthy"}, change: func(f *Facts) {
			with(well, sick)(f)
			f.Client = &Client{Pod: clientPod("shop")}
			f.Client.Pod.Spec.NodeName = "n1"
		}},
		"the client's is missing, and another not well": {state: Problem, check: CheckAgents, want: AgentMissing, change: func(f *Facts) {
			f.Nodes = append(f.Nodes, node("n3"))
			with(well, sick)(f)
			f.Client = nodeClient("n3")
		}},
		"the client's was not asked, and another is not well": {state: Unknown, check: CheckAgents, want: NotSeen, change: func(f *Facts) {
			with(Agent{}, sick)(f)
			f.Client = nodeClient("n1")
		}},
		"none, and a headless Service needs none": {state: OK, change: func(f *Facts) {
			with(sick, sick)(f)
			f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "None", []string{"None"}
		}},
		"one missing":         {state: Warning, check: CheckAgents, want: AgentMissing, says: []string{"node n2 is without what programs Services"}, change: func(f *Facts) { f.Agents = map[string]Agent{"n1": well} }},
		"none to be seen":     {state: Unknown, check: CheckAgents, want: NotSeen, change: func(f *Facts) { f.Agents = map[string]Agent{} }},
		"none could be asked": {state: Unknown, check: CheckAgents, want: NotSeen, says: []string{"(n1 and n2): no route to host."}, change: with(Agent{Problem: "no route to host."}, Agent{})},
		"some could be asked": {state: OK, change: with(well, Agent{Problem: "no route to host"})},
	})
}

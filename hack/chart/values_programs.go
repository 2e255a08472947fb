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

package main

import "strings"

// pod are the settings that all three programs have.
func pod(name, id, path, container string) []value {
	return []value{
		{
			path: name + ".extraArgs", initial: []any{}, schema: listOf(text(1)), doc: "More flags, after those of the chart, over which they win.",
			edits: []edit{appended(id, container+"/args")},
		},
		{
			path: name + ".resources", schema: resources(), doc: "What a pod asks for, and may take at most.",
			edits: []edit{replaced(id, container+"/resources")},
		},
		{
			path: name + ".priorityClassName", schema: text(0), doc: "The priority of the pods.",
			edits: []edit{replaced(id, path+"/priorityClassName")},
		},
		{
			path: name + ".nodeSelector", schema: labels(), doc: "Labels of the nodes for the pods.",
			edits: []edit{replaced(id, path+"/nodeSelector")},
		},
		{
			path: name + ".tolerations", schema: listOf(object0()), doc: "Taints that the pods do not mind.",
			edits: []edit{replaced(id, path+"/tolerations")},
		},
		affinity(name, id, path),
		{
			path: name + ".podLabels", initial: map[string]any{}, schema: labels(), doc: "More labels of the pods.",
			edits: []edit{merged(id, "spec/template/metadata/labels")},
		},
		{
			path: name + ".podAnnotations", initial: map[string]any{}, schema: labels(), doc: "More annotations of the pods.",
			edits: []edit{merged(id, "spec/template/metadata/annotations")},
		},
	}
}

// affinity is what config/ says of the manager, and nothing yet of the others.
func affinity(name, id, path string) value {
	v := value{path: name + ".affinity", schema: object0(), doc: "Affinity of the pods."}
	if id == managerID {
		v.doc = "Affinity of the pods: the replicas are in different zones if they can."
		v.edits = []edit{replaced(id, path+"/affinity")}
		return v
	}
	v.initial, v.edits = map[string]any{}, []edit{optional(id, path, "affinity")}
	return v
}

// managerValues are about the manager.
func managerValues() []value {
	own := []value{
		{
			path: "manager.replicas", schema: number(1, 100), doc: "Replicas. Each serves webhooks, one of them runs the controllers.",
			edits: []edit{replaced(managerID, "spec/replicas")},
		},
		{
			path: "manager.allocation", initial: "", schema: oneOf("", "advisory", "authoritative", "off", false),
			doc: "How much of a Service's numbers the manager decides: `advisory` (its default), `authoritative` or `off`.",
			edits: []edit{withItem(managerID, manager+"/args", `ne (toString .Values.manager.allocation) ""`,
				inline(`--allocation={{ ternary "off" .Values.manager.allocation (eq (toString .Values.manager.allocation) "false") }}`))},
		},
		{
			path: "manager.diagnosis", initial: true, schema: boolean(), doc: "Say in the status of Services why they do not answer.",
			edits: []edit{switchedOff(managerID, manager, "--diagnosis=off")},
		},
		{
			path: "manager.loadBalancers.enabled", initial: true, schema: boolean(),
			doc:   "Give addresses of AddressPools to Services of type LoadBalancer. Never in mode `stock`, where nobody would answer for them.",
			edits: []edit{only(managerID, manager+"/args/--loadbalancers=off", "or %s (not .Values.manager.loadBalancers.enabled)")},
		},
		{
			path: "manager.loadBalancers.class", initial: "", schema: pattern(`^[A-Za-z0-9./_-]*$`),
			doc:   "`spec.loadBalancerClass` of the Services that get them; `switchyard.dev/loadbalancer` if empty.",
			edits: []edit{argument(managerID, manager, "loadbalancer-class")},
		},
		{
			path: "manager.loadBalancers.default", initial: false, schema: boolean(),
			doc:   "Serve Services without a class as well. No other load balancer in the cluster may.",
			edits: []edit{withItem(managerID, manager+"/args", ".Values.manager.loadBalancers.default", scalar{"--loadbalancer-default"})},
		},
		{
			path: "manager.serviceNodePortRange", initial: "", schema: pattern(`^([0-9]+-[0-9]+)?$`),
			doc:   "The API server's `--service-node-port-range`, if it is not 30000-32767.",
			edits: []edit{argument(managerID, manager, "service-node-port-range")},
		},
		{
			path: "manager.config", initial: map[string]any{}, schema: object0(),
			doc: "A ManagerConfiguration, without `apiVersion` and `kind`: severities of admission rules and more, see docs/admission.md.",
			edits: []edit{
				withItem(managerID, manager+"/args", ".Values.manager.config", scalar{"--config=/etc/switchyard/manager.yaml"}),
				withItem(managerID, manager+"/volumeMounts", ".Values.manager.config", block(strings.Join([]string{
					"- name: config", "  mountPath: /etc/switchyard", "  readOnly: true",
				}, "\n"))),
				withItem(managerID, managerPod+"/volumes", ".Values.manager.config", block(strings.Join([]string{
					"- name: config", "  configMap:", "    name: switchyard-manager",
				}, "\n"))),
				added(managerID, "spec/template/metadata/annotations", "checksum/config", ".Values.manager.config", checksum("manager.config")),
			},
		},
		{
			path: "manager.topologySpreadConstraints", schema: listOf(object0()), doc: "How the replicas are spread over nodes.",
			edits: []edit{replaced(managerID, managerPod+"/topologySpreadConstraints")},
		},
		{
			path: "manager.podDisruptionBudget.enabled", initial: true, schema: boolean(),
			doc:   "Let evictions leave one replica. Only with two or more, as it would keep a node from being drained otherwise.",
			edits: []edit{whole("PodDisruptionBudget/switchyard-manager", "and .Values.manager.podDisruptionBudget.enabled (gt (int .Values.manager.replicas) 1)")},
		},
	}
	return append(own, pod("manager", managerID, managerPod, manager)...)
}

// nodeValues are about the node agent.
func nodeValues() []value {
	own := []value{
		{
			path: "node.config", initial: map[string]any{}, schema: object0(),
			doc: "The agents' configuration, which is kube-proxy's: on a cluster of kubeadm's, `config.conf` of the ConfigMap `kube-proxy` in kube-system." +
				" Say `clusterCIDR` at least, the addresses of all pods: without, every client passes for a pod." +
				" It makes the ConfigMap `switchyard-node`; if empty, one that is there is used, or the defaults. Agents follow a change while they run, or" +
				" begin anew (docs/node-agent.md).",
		},
		{
			path: "node.announce", initial: "", schema: oneOf("", "l2", "routes", "l2,routes"),
			doc: "How nodes answer for load balancers' addresses: `l2` (ARP and neighbour discovery, which takes the capability NET_RAW)," +
				" `routes` (by a routing daemon; more flags are needed, see docs/load-balancers.md), `l2,routes`, or not at all.",
			edits: []edit{
				only(agentID, agent+"/args/--announce=l2", ".Values.node.announce"),
				rewritten(agentID, agent+"/args/--announce=l2", inline("--announce={{ .Values.node.announce }}")),
			},
		},
		{
			path: "node.metrics.onAllAddresses", initial: false, schema: boolean(),
			doc: "Serve the agents' metrics on all addresses of their nodes, without authentication, in place of loopback. Prometheus needs it to collect" +
				" them; keep port 10249 from whom they are not for.",
		},
		{
			path: "node.init.enabled", initial: true, schema: boolean(),
			doc:   "Let a privileged init container set the kernel up: size and timeouts of the connection table, modules. Without, do it on the nodes.",
			edits: []edit{only(agentID, agentPod+"/initContainers", ".Values.node.init.enabled")},
		},
		{
			path: "node.init.resources", schema: resources(), doc: "What the init container asks for, and may take at most.",
			edits: []edit{replaced(agentID, setUp+"/resources")},
		},
		{
			path: "node.updateStrategy", schema: object0(),
			doc:   "How an update goes from node to node. An agent that ends leaves the rules, and the next one takes them over.",
			edits: []edit{replaced(agentID, "spec/updateStrategy")},
		},
		{
			path: "node.extraVolumes", initial: []any{}, schema: listOf(object0()), doc: "More volumes of the pods, such as the sockets of a routing daemon.",
			edits: []edit{appended(agentID, agentPod+"/volumes")},
		},
		{
			path: "node.extraVolumeMounts", initial: []any{}, schema: listOf(object0()), doc: "Where the agent has them.",
			edits: []edit{appended(agentID, agent+"/volumeMounts")},
		},
	}
	return append(own, pod("node", agentID, agentPod, agent)...)
}

// dnsValues are about the DNS server.
func dnsValues() []value {
	everything := func(c *chart, _ *value) error {
		for _, t := range c.objects {
			if strings.HasPrefix(t.origin, "dns/") {
				t.when = conjunction(t.when, ".Values.dns.enabled")
			}
		}
		return nil
	}
	own := []value{
		{
			path: "dns.enabled", initial: false, schema: boolean(),
			doc:   "Run `switchyard-dns` as the cluster's DNS, in kube-system. It needs Kubernetes 1.34. Go there from CoreDNS as docs/dns.md says.",
			edits: []edit{everything},
		},
		{
			path: "dns.service.create", initial: true, schema: boolean(),
			doc:   "Make the Service `kube-dns`. Turn it off where there is one, whose selector is `k8s-app: kube-dns`.",
			edits: []edit{whole("Service/kube-dns", ".Values.dns.service.create")},
		},
		{
			path: "dns.service.clusterIPs", schema: schema{"type": "array", "items": text(1), "minItems": 1, "maxItems": 2},
			doc: "Its addresses: what the kubelets call `clusterDNS`.", edits: []edit{clusterIPs},
		},
		{
			path: "dns.corefile", schema: text(1), doc: "The Corefile. The zones have to be the cluster's.",
			edits: []edit{corefile},
		},
	}
	return append(own, pod("dns", dnsID, dnsPod, dns)...)
}

// clusterIPs has a list in the place of one address.
func clusterIPs(c *chart, v *value) error {
	const id = "Service/kube-dns"
	p, err := c.place(id, "spec/clusterIP")
	if err != nil {
		return err
	}
	found, err := plain(*p.value)
	if err != nil {
		return err
	}
	v.initial = []any{found}
	*p.value = inline("{{ first .Values.dns.service.clusterIPs | quote }}")
	return added(id, "spec", "clusterIPs", "gt (len .Values.dns.service.clusterIPs) 1",
		block("{{- toYaml .Values.dns.service.clusterIPs | nindent %d }}"))(c, v)
}

func corefile(c *chart, v *value) error {
	const id, path = "ConfigMap/switchyard-dns", "data/Corefile"
	if err := replaced(id, path)(c, v); err != nil {
		return err
	}
	return rewritten(id, path, textOf("{{- .Values.dns.corefile | nindent %d }}"))(c, v)
}

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
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type (
	peers    = []networkingv1.NetworkPolicyPeer
	numbers  = []networkingv1.NetworkPolicyPort
	ingress  = networkingv1.NetworkPolicyIngressRule
	egress   = networkingv1.NetworkPolicyEgressRule
	policies = networkingv1.NetworkPolicySpec
)

func tcp(port intstr.IntOrString) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Port: &port}
}

func number(n int32) numbers { return numbers{tcp(intstr.FromInt32(n))} }

func fromPods(pairs ...string) peers { return peers{{PodSelector: labelled(pairs...)}} }

func fromNamespaces(pairs ...string) peers { return peers{{NamespaceSelector: labelled(pairs...)}} }

// held adds policies with these specs, for the Service's namespace.
func held(f *Facts, specs ...networkingv1.NetworkPolicySpec) {
	for i, spec := range specs {
		f.NetworkPolicies = append(f.NetworkPolicies, policy("policy-"+string(rune('a'+i)), spec))
	}
}

func into(rules ...ingress) networkingv1.NetworkPolicySpec { return policies{Ingress: rules} }

func outOf(rules ...egress) networkingv1.NetworkPolicySpec {
	return policies{PodSelector: *labelled("app", "client"), PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}, Egress: rules}
}

// dnsRule lets everybody ask for names.
var dnsRule = egress{Ports: numbers{{Protocol: new(corev1.ProtocolUDP), Port: new(intstr.FromInt32(53))}}}

func anybody(state State, want Reason, says string, specs ...networkingv1.NetworkPolicySpec) outcome {
	return outcome{state: state, check: CheckNetworkPolicies, want: want, says: []string{says}, change: func(f *Facts) { held(f, specs...) }}
}

func client(namespace string, o outcome, specs ...networkingv1.NetworkPolicySpec) outcome {
	change := o.change
	if o.state != OK && o.check == "" {
		o.check = CheckNetworkPolicies
	}
	o.change = func(f *Facts) {
		f.Client = &Client{Pod: clientPod(namespace)}
		held(f, specs...)
		if change != nil {
			change(f)
		}
	}
	return o
}

func TestNetworkPoliciesForAnybody(t *testing.T) {
	examined(t, map[string]outcome{
		"of other pods":               anybody(OK, "", "answers.", policies{PodSelector: *labelled("app", "other")}),
		"let somebody in":             anybody(OK, "", "answers.", into(ingress{From: fromPods("app", "client"), Ports: number(8080)})),
		"let all in":                  anybody(OK, "", "answers.", into(ingress{})),
		"are for what leaves":         anybody(OK, "", "answers.", policies{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}}),
		"one lets in, the other not":  anybody(OK, "", "answers.", into(), into(ingress{Ports: number(8080)})),
		"a range of ports":            anybody(OK, "", "answers.", into(ingress{Ports: numbers{{Port: new(intstr.FromInt32(8000)), EndPort: new(int32(9000))}}})),
		"a port by its name":          anybody(OK, "", "answers.", into(ingress{Ports: numbers{tcp(intstr.FromString("http"))}})),
		"all ports of the protocol":   anybody(OK, "", "answers.", into(ingress{Ports: numbers{{}}})),
		"let nobody in":               anybody(Problem, NetworkPolicyDenies, "NetworkPolicy policy-a does not let anybody in to port 8080 of web-1, web-2 and web-3; add an ingress rule for port 8080 to policy-a.", into()),
		"let in to another port only": anybody(Problem, NetworkPolicyDenies, "in to port 8080 of web-1, web-2 and web-3, but to port 80 (rules are about the ports of pods, not of Services); add", into(ingress{Ports: number(80)})),
		"let in to what has no number": anybody(Problem, NetworkPolicyDenies, ", but to ports admin, any of UDP, 9000 to 9009 and 1 more; add", into(
			ingress{Ports: numbers{tcp(intstr.FromString("admin")), {Protocol: new(corev1.ProtocolUDP)}, {Port: new(intstr.FromInt32(9000)), EndPort: new(int32(9009))}, tcp(intstr.FromInt32(7))}})),
		"a range beside it":      anybody(Problem, NetworkPolicyDenies, "port 8080", into(ingress{Ports: numbers{{Port: new(intstr.FromInt32(8081)), EndPort: new(int32(9000))}}})),
		"a range below it":       anybody(Problem, NetworkPolicyDenies, "port 8080", into(ingress{Ports: numbers{{Port: new(intstr.FromInt32(80)), EndPort: new(int32(443))}}})),
		"another name":           anybody(Problem, NetworkPolicyDenies, "port 8080", into(ingress{Ports: numbers{tcp(intstr.FromString("admin"))}})),
		"another protocol":       anybody(Problem, NetworkPolicyDenies, "port 8080", into(ingress{Ports: numbers{{Protocol: new(corev1.ProtocolUDP)}}})),
		"two that let nobody in": anybody(Problem, NetworkPolicyDenies, "NetworkPolicies policy-a and policy-b do not let anybody in to port 8080", into(), into()),
		"let nobody in to many ports": {state: Problem, check: CheckNetworkPolicies, want: NetworkPolicyDenies, says: []string{"in to ports 8080, 1000, 1001 and 7 more of web-1"}, change: func(f *Facts) {
			for i := range int32(9) {
				more(corev1.ServicePort{Name: fmt.Sprint("p", i), Port: 1000 + i})(f)
			}
			held(f, into())
		}},
		"let nobody in to one pod": {state: Warning, check: CheckNetworkPolicies, want: NetworkPolicyDenies, says: []string{"port 8080 of web-2"}, change: func(f *Facts) {
			f.Selected[1].Labels["canary"] = "yes"
			held(f, policies{PodSelector: *labelled("canary", "yes")})
		}},
		"let nobody in to one of two ports": {state: Warning, check: CheckNetworkPolicies, want: NetworkPolicyDenies, says: []string{"port 9090 of"}, change: func(f *Facts) {
			more(corev1.ServicePort{Name: "metrics", Port: 9090})(f)
			held(f, into(ingress{Ports: number(8080)}))
		}},
		"pods of the host's network are not held": {state: OK, change: func(f *Facts) {
			f.eachPod(func(pod *corev1.Pod) { pod.Spec.HostNetwork = true })
			held(f, into())
		}},
		"a headless Service without ports": {state: Problem, check: CheckNetworkPolicies, want: NetworkPolicyDenies, says: []string{"all ports of web-1"}, change: func(f *Facts) {
			f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs, f.Service.Spec.Ports = "None", nil, nil
			held(f, into())
		}},
		"of another namespace": {state: OK, change: func(f *Facts) {
			held(f, into())
			f.NetworkPolicies[0].Namespace = "front"
		}},
		"that could not be seen": {state: Unknown, check: CheckNetworkPolicies, want: NotSeen, change: func(f *Facts) { f.Unseen = map[Kind]string{NetworkPolicies: "forbidden"} }},
	})
}

func TestNetworkPoliciesForAPod(t *testing.T) {
	yes := outcome{state: OK}
	no := outcome{state: Problem, want: NetworkPolicyDenies}
	let := func(who peers) networkingv1.NetworkPolicySpec { return into(ingress{From: who}) }
	known := func(o outcome, pairs ...string) outcome {
		o.change = func(f *Facts) { f.Namespaces = map[string]labels.Set{"front": labelled(pairs...).MatchLabels} }
		return o
	}
	unsure := outcome{state: Unknown, want: NotSeen, says: []string{"labels of namespaces could not be read"}}
	told := outcome{state: Problem, want: NetworkPolicyDenies, says: []string{
		"NetworkPolicy policy-a does not let pod front/client in to port 8080 of web-1", "add an ingress rule for port 8080 from namespace front and the client's labels app=client to policy-a"}}
	wayOut := outcome{state: Problem, want: NetworkPolicyDenies, says: []string{"does not let pod shop/client out to port 8080", "add an egress rule"}}
	examined(t, map[string]outcome{
		"a node, to its own pods": {state: OK, change: func(f *Facts) {
			f.Client = nodeClient("n1")
			f.eachPod(func(pod *corev1.Pod) { pod.Spec.NodeName = "n1" })
			held(f, into())
		}},
		"a node, to another's pods": {state: Warning, check: CheckNetworkPolicies, want: NetworkPolicyDenies, says: []string{"does not let node n2 in to port 8080 of web-1 and web-3"}, change: func(f *Facts) {
			f.Client = nodeClient("n2")
			held(f, into())
		}},
		"its labels":                        client("shop", yes, let(fromPods("app", "client"))),
		"its namespace":                     client("front", known(yes, "team", "front"), let(fromNamespaces("team", "front"))),
		"its namespace's name":              client("front", yes, let(fromNamespaces(corev1.LabelMetadataName, "front"))),
		"all namespaces":                    client("front", yes, let(fromNamespaces())),
		"its address":                       client("front", yes, let(peers{{IPBlock: &networkingv1.IPBlock{CIDR: "10.1.0.0/16"}}})),
		"labels and namespace":              client("front", known(yes, "team", "front"), let(peers{{NamespaceSelector: labelled("team", "front"), PodSelector: labelled("app", "client")}})),
		"an expression":                     client("shop", yes, let(peers{{PodSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpExists}}}}})),
		"other labels":                      client("shop", no, let(fromPods("app", "other"))),
		"its labels elsewhere":              client("front", told, let(fromPods("app", "client"))),
		"another namespace":                 client("front", known(no, "team", "back"), let(fromNamespaces("team", "front"))),
		"another namespace's name":          client("front", no, let(fromNamespaces(corev1.LabelMetadataName, "back"))),
		"a namespace that is not known":     client("front", unsure, let(fromNamespaces("team", "front"))),
		"labels of no such pod":             client("front", known(no, "team", "front"), let(peers{{NamespaceSelector: labelled("team", "front"), PodSelector: labelled("app", "x")}})),
		"an address that is left out":       client("front", no, let(peers{{IPBlock: &networkingv1.IPBlock{CIDR: "10.1.0.0/16", Except: []string{"10.1.0.8/29"}}}})),
		"an expression that makes no sense": client("shop", no, let(peers{{PodSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "?"}}}}})),
		"nobody at all":                     client("shop", no, let(peers{{}})),
		"the host's network":                client("shop", outcome{state: OK, change: func(f *Facts) { f.Client.Pod.Spec.HostNetwork = true }}, let(fromPods("app", "other"))),
		"it may go out":                     client("shop", yes, outOf(egress{To: fromPods("app", "web"), Ports: number(8080)}, dnsRule)),
		"it may go out to a named port":     client("shop", yes, outOf(egress{To: fromPods("app", "web"), Ports: numbers{tcp(intstr.FromString("http"))}}, dnsRule)),
		"it may not go out":                 client("shop", wayOut, outOf(dnsRule)),
		"it may go out to other pods":       client("shop", wayOut, outOf(egress{To: fromPods("app", "db")}, dnsRule)),
		"it may go out to other ports":      client("shop", wayOut, outOf(egress{To: fromPods("app", "web"), Ports: number(80)}, dnsRule)),
		"it may not ask for names": client("shop", outcome{state: Warning, check: CheckDNS, want: DNSDenied, says: []string{"NetworkPolicy policy-a does not let pod shop/client ask the cluster's DNS; add an egress rule for UDP and TCP port 53"}},
			outOf(egress{To: fromPods("app", "web")})),
		"it may ask names of kube-system":       client("shop", yes, outOf(egress{To: fromPods("app", "web")}, egress{To: fromNamespaces(corev1.LabelMetadataName, "kube-system")})),
		"it may ask names of wherever they are": client("shop", yes, outOf(egress{To: fromPods("app", "web")}, egress{To: peers{{IPBlock: &networkingv1.IPBlock{CIDR: "10.9.0.0/16"}}}})),
		"it may ask names of pods called so":    client("shop", yes, outOf(egress{To: fromPods("app", "web")}, egress{To: peers{{NamespaceSelector: labelled("team", "infra"), PodSelector: labelled("app", "node-local-dns")}}})),
		"it may ask names of a namespace":       client("shop", yes, outOf(egress{To: fromPods("app", "web")}, egress{To: fromNamespaces(corev1.LabelMetadataName, "openshift-dns")})),
		"it may ask names of another port":      client("shop", yes, outOf(egress{To: fromPods("app", "web")}, egress{To: fromNamespaces("team", "infra"), Ports: numbers{{Protocol: new(corev1.ProtocolUDP), Port: new(intstr.FromInt32(5353))}}})),
		"its address of the other family": client("shop", outcome{state: Problem, want: NetworkPolicyDenies, change: func(f *Facts) {
			f.Client.Pod.Status.PodIPs = append(f.Client.Pod.Status.PodIPs, corev1.PodIP{IP: "fd01::9"})
		}}, let(peers{{IPBlock: &networkingv1.IPBlock{CIDR: "fd01::/64"}}})),
		"labels that it was given": client("shop", outcome{state: Problem, want: NetworkPolicyDenies, says: []string{"port 8080 from the client's labels app=client to policy-a"}, change: func(f *Facts) {
			for _, key := range []string{"pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "batch.kubernetes.io/job-name"} {
				f.Client.Pod.Labels[key] = "x"
			}
		}}, into()),
		"no label of its own": client("shop", outcome{state: Problem, want: NetworkPolicyDenies, says: []string{"port 8080 from the pods of its namespace to policy-a"}, change: func(f *Facts) {
			f.Client.Pod.Labels = map[string]string{"pod-template-hash": "x"}
		}}, into()),
		"no label elsewhere": client("front", outcome{state: Problem, want: NetworkPolicyDenies, says: []string{"port 8080 from namespace front to policy-a"}, change: func(f *Facts) {
			f.Client.Pod.Labels = nil
		}}, into()),
		"it may go to other namespaces": client("shop", outcome{state: Warning, check: CheckDNS, want: DNSDenied},
			outOf(egress{To: fromPods("app", "web")}, egress{To: fromNamespaces(corev1.LabelMetadataName, "data")})),
		"it is the pod itself": {state: OK, change: func(f *Facts) {
			f.Selected = f.Selected[:1]
			f.Client = &Client{Pod: f.Selected[0].DeepCopy()}
			held(f, into())
		}},
		"endpoints outside, by address": {state: OK, change: func(f *Facts) {
			f.noSelectorNorPods()
			f.Slices = append(f.Slices, byHand("", "192.0.2.5", "http", 8080))
			f.Client = &Client{Pod: clientPod("shop")}
			held(f, outOf(egress{To: peers{{IPBlock: &networkingv1.IPBlock{CIDR: "192.0.2.0/24"}}}}))
		}},
		"endpoints outside, by labels": {state: Problem, check: CheckNetworkPolicies, want: NetworkPolicyDenies, says: []string{"of 192.0.2.5"}, change: func(f *Facts) {
			f.noSelectorNorPods()
			f.Slices = append(f.Slices, byHand("", "192.0.2.5", "http", 8080))
			f.Client = &Client{Pod: clientPod("shop")}
			held(f, outOf(egress{To: fromPods("app", "web")}, dnsRule, egress{Ports: number(80)}))
		}},
	})
}

func TestNetworkPoliciesForOutside(t *testing.T) {
	from := func(cidr string, policy corev1.ServiceExternalTrafficPolicy) func(*Facts) {
		return func(f *Facts) {
			localNodePort(f)
			f.Service.Spec.ExternalTrafficPolicy = policy
			f.Client = outside("203.0.113.7")
			held(f, into(ingress{From: peers{{IPBlock: &networkingv1.IPBlock{CIDR: cidr}}}}))
		}
	}
	examined(t, map[string]outcome{
		"a block that holds it":                           {state: OK, change: from("203.0.113.0/24", "Cluster")},
		"another block, and the client's address is kept": {state: Problem, check: CheckNetworkPolicies, want: NetworkPolicyDenies, says: []string{"does not let 203.0.113.7 in"}, change: from("10.0.0.0/8", "Local")},
		"another block, and nodes may stand in for it":    {state: Warning, check: CheckNetworkPolicies, want: NetworkPolicyDenies, says: []string{"unless the addresses of nodes"}, change: from("10.0.0.0/8", "Cluster")},
	})
}

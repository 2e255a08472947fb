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
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mesh adds a slice with a ready endpoint that is managed by that name.
func mesh(f *Facts, by string) {
	s := byHand(by, "192.0.2.5", "http", 8080)
	s.Endpoints[0].Conditions.Ready = new(true)
	f.Slices = append(f.Slices, s)
}

func headlessService(f *Facts) {
	f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "None", []string{"None"}
}

// hidden takes the pods away from whoever may not read them.
func hidden(f *Facts) { f.Selected, f.Unseen = nil, map[Kind]string{Pods: "forbidden"} }

// TestWhatLooksWell is about Services that do not answer although most is well.
func TestWhatLooksWell(t *testing.T) {
	examined(t, map[string]outcome{
		"a headless one needs no proxy": {state: OK, change: func(f *Facts) {
			headlessService(f)
			f.Service.Labels = map[string]string{proxyLabel: "mesh"}
		}},
		"published pods of which nothing runs": {state: Problem, check: CheckReadiness, want: PodsNotReady, says: []string{"CrashLoopBackOff"}, change: func(f *Facts) {
			f.Service.Spec.PublishNotReadyAddresses = true
			f.eachPod(func(pod *corev1.Pod) { notReadyNow(pod, waiting("CrashLoopBackOff", "")) })
		}},
		"one of them crashes": {state: Warning, check: CheckReadiness, want: PodsNotReady, says: []string{"1 of 3 pods is not ready"}, change: func(f *Facts) {
			notReadyNow(f.Selected[1], waiting("CrashLoopBackOff", ""))
		}},
		"published pods of which one runs": {state: OK, change: func(f *Facts) {
			f.Service.Spec.PublishNotReadyAddresses = true
			f.eachPod(func(pod *corev1.Pod) { notReadyNow(pod, waiting("CrashLoopBackOff", "")) })
			probeFails(f.Selected[1])
		}},
		"a name that leads to pods that leave": {state: Problem, check: CheckReadiness, want: OnlyTerminatingPods, says: []string{"DNS does not name those (web-1, web-2 and web-3)"}, change: func(f *Facts) {
			headlessService(f)
			f.eachPod(func(pod *corev1.Pod) { pod.DeletionTimestamp = new(ago(0)) })
		}},
		"the client's node has no agent": {state: Problem, check: CheckAgents, want: AgentMissing, says: []string{"node n2, on which the client is, is without"}, change: func(f *Facts) {
			f.Agents = map[string]Agent{"n1": {Healthy: true, Synced: true, Asked: true}}
			f.Client = nodeClient("n2")
		}},
		"slices without endpoints, and hidden pods": {state: Problem, check: CheckSlices, want: EndpointsNotReady, says: []string{"no EndpointSlice names an endpoint of it"}, change: hidden,
			after: func(f *Facts) { f.Slices = []*discoveryv1.EndpointSlice{slice("web-1", sliceController, "IPv4", nil)} }},
		"no slices, and hidden pods": {state: Problem, check: CheckSlices, want: SlicesMissing, change: hidden, after: func(f *Facts) { f.Slices = nil }},
		"slices of another family, and hidden pods": {state: Problem, check: CheckFamilies, want: FamilyMismatch, change: hidden, after: func(f *Facts) {
			f.Slices = []*discoveryv1.EndpointSlice{byHand(sliceController, "2001:db8::5", "http", 8080)}
		}},
		"slices of another port name, and hidden pods": {state: Problem, check: CheckSlices, want: SlicePortMismatch, change: hidden, after: func(f *Facts) {
			f.Slices = []*discoveryv1.EndpointSlice{byHand(sliceController, "192.0.2.5", "other", 8080)}
		}},
		"policies, and hidden pods": {state: Unknown, check: CheckNetworkPolicies, want: NotSeen, says: []string{"which pods NetworkPolicies select could not be seen"}, change: func(f *Facts) {
			hidden(f)
			held(f, into())
		}, after: func(f *Facts) {
			f.Slices = []*discoveryv1.EndpointSlice{byHand(sliceController, "192.0.2.5", "http", 8080)}
		}},
		"policies of which some are hidden": {state: Unknown, check: CheckNetworkPolicies, want: NotSeen, change: func(f *Facts) {
			held(f, into(ingress{}))
			f.Client, f.Unseen = &Client{Pod: clientPod("front")}, map[Kind]string{NetworkPolicies: "forbidden"}
		}},
		"the client has no node yet": {state: Unknown, check: CheckTraffic, want: NotSeen, says: []string{"pod shop/client has no node yet"}, change: func(f *Facts) {
			localInternal(f)
			f.Client = &Client{Pod: clientPod("shop")}
			f.Client.Pod.Spec.NodeName = ""
		}},
		"the client has ended": {state: Warning, check: CheckClient, want: ClientEnded, says: []string{"answers, but pod shop/client has ended (Succeeded) and connects to nothing; give one that runs to --from."}, change: func(f *Facts) {
			f.Client = &Client{Pod: clientPod("shop")}
			f.Client.Pod.Status.Phase = corev1.PodSucceeded
		}},
		"more than one thing": {state: Problem, check: CheckReadiness, want: PodsNotReady, says: []string{" (and 1 other problem)."}, change: func(f *Facts) {
			f.eachPod(probeFails)
			held(f, into())
		}},
		"a name that nobody resolved": {state: OK, says: []string{"answers, provided that db.example.org resolves, which nobody was asked."}, change: func(f *Facts) { externalName(f, "db.example.org") }},
	})
}

// TestWhatLooksBroken is about Services that answer although something is not well.
func TestWhatLooksBroken(t *testing.T) {
	examined(t, map[string]outcome{
		"another cluster's endpoints, and no pods": {state: Warning, check: CheckSelector, want: NoMatchingPods, says: []string{"and all that answers is what EndpointSlice web-by-hand names"},
			change: func(f *Facts) { f.Selected = nil }, after: func(f *Facts) { mesh(f, "mesh.example.org") }},
		"another cluster's endpoints, and sick pods": {state: Warning, check: CheckReadiness, want: PodsNotReady, says: []string{"all that answers is what EndpointSlice"},
			change: func(f *Facts) { f.eachPod(probeFails) }, after: func(f *Facts) { mesh(f, "mesh.example.org") }},
		"clients inside do not mind externalTrafficPolicy": {state: Warning, check: CheckTraffic, want: TrafficPolicyLocalWithoutLocalEndpoints, change: func(f *Facts) {
			localNodePort(f)
			f.noSelectorNorPods()
			f.Slices = append(f.Slices, byHand("", "192.0.2.5", "http", 8080))
		}},
		"clients outside do": {state: Problem, check: CheckTraffic, want: TrafficPolicyLocalWithoutLocalEndpoints, change: func(f *Facts) {
			localNodePort(f)
			f.noSelectorNorPods()
			f.Slices, f.Client = append(f.Slices, byHand("", "192.0.2.5", "http", 8080)), outside("203.0.113.7")
		}},
		"clients outside do not mind internalTrafficPolicy": {state: OK, change: func(f *Facts) {
			localInternal(f)
			onN1(f)
			f.Service.Spec.Type, f.Service.Spec.Ports[0].NodePort, f.Client = corev1.ServiceTypeNodePort, 30080, outside("203.0.113.7")
		}},
		"pods do not mind source ranges": {state: OK, change: func(f *Facts) {
			loadBalancer(f, "192.0.2.1")
			f.Service.Spec.LoadBalancerSourceRanges, f.Client = []string{"nonsense"}, &Client{Pod: clientPod("shop")}
		}},
	})
}

// TestAdviceThatDoesNoHarm is about remedies that would break something else.
func TestAdviceThatDoesNoHarm(t *testing.T) {
	labelsOf := func(selector map[string]string, labels map[string]string) func(*Facts) {
		return func(f *Facts) {
			f.Service.Spec.Selector = selector
			f.noPods(func(pod *corev1.Pod) { pod.Labels = labels })
		}
	}
	lost := func(owner string) func(*Facts) {
		return func(f *Facts) {
			f.Selected = f.Selected[:1]
			probeFails(f.Selected[0])
			f.Nodes[0].Status.Conditions[0].Status = corev1.ConditionUnknown
			if owner != "" {
				f.Selected[0].OwnerReferences = []metav1.OwnerReference{{Kind: owner, Controller: new(true)}}
			}
		}
	}
	problem := func(check Check, want Reason, says string, change func(*Facts)) outcome {
		return outcome{state: Problem, check: check, want: want, says: []string{says}, change: change}
	}
	const podName = "statefulset.kubernetes.io/pod-name"
	examined(t, map[string]outcome{
		"one pod of a StatefulSet is not another": problem(CheckSelector, NoMatchingPods, "see why the StatefulSet has no pod kafka-1.",
			labelsOf(map[string]string{podName: "kafka-1"}, map[string]string{podName: "kafka-0"})),
		"one shard is not another": problem(CheckSelector, NoMatchingPods, "change spec.selector.app to shard-2 if these are meant, or see whether",
			labelsOf(map[string]string{"app": "shard-1"}, map[string]string{"app": "shard-2"})),
		"one letter at the end is another": problem(CheckSelector, NoMatchingPods, "change spec.selector.app to web-b if these are meant, or see whether",
			labelsOf(map[string]string{"app": "web-a"}, map[string]string{"app": "web-b"})),
		"what is part of it is not meant": problem(CheckSelector, NoMatchingPods, "see whether what makes the pods is scaled to zero, or change spec.selector or the labels of the pods.",
			labelsOf(map[string]string{"app": "web"}, map[string]string{"app.kubernetes.io/part-of": "web"})),
		"another key is a guess": problem(CheckSelector, NoMatchingPods, "to run=web, or give the pods the label app=web, if these are meant, or see whether",
			labelsOf(map[string]string{"app": "web"}, map[string]string{"run": "web"})),
		"what is made again may be deleted":           problem(CheckReadiness, NodeUnknown, "repair node n1, or delete pod web-1, so that another takes its place.", lost("ReplicaSet")),
		"what must not run twice may not":             problem(CheckReadiness, NodeUnknown, "repair node n1, or once it is surely off give it the taint node.kubernetes.io/out-of-service.", lost("StatefulSet")),
		"what nobody makes again is made by somebody": problem(CheckReadiness, NodeUnknown, "repair node n1, or make the pod anew on another.", lost("")),
		"most pods have the name": {state: Warning, check: CheckPorts, want: NamedPortNotFound, says: []string{"name the container port http in web-2, as the others have it."}, change: func(f *Facts) {
			f.Service.Spec.Ports[0].TargetPort.Type, f.Service.Spec.Ports[0].TargetPort.StrVal = 1, "http"
			f.Selected[1].Spec.Containers[0].Ports[0].Name = "http-web"
		}},
	})
}

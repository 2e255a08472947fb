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

package why

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// programs are what programs Services on nodes, as pods.
func (r *reading) programs() []program {
	return []program{
		{"switchyard-node", r.System, client.MatchingLabels{"app.kubernetes.io/name": "switchyard", "app.kubernetes.io/component": "node"}},
		{"kube-proxy", metav1.NamespaceSystem, client.MatchingLabels{"k8s-app": "kube-proxy"}},
	}
}

type program struct {
	name      string
	namespace string
	labels    client.MatchingLabels
}

// agents finds what programs each node: by its pod's conditions, or by its health
// page where these do not tell. Nothing is concluded from what could not be asked.
func (r *reading) agents(ctx context.Context) {
	service := r.facts.Service
	if r.externalName() || service.Spec.ClusterIP == corev1.ClusterIPNone {
		return // nothing is programmed for it
	}
	known := map[string]diagnosis.Agent{}
	weak := map[string]bool{}
	var err error
	if !r.Local {
		err = r.agentPods(ctx, known, weak)
	}
	pods := len(known) > 0 && err == nil
	pageErr := r.askNodes(ctx, known, weak)
	if len(known) == 0 {
		r.noAgents(err, pageErr)
		return
	}
	for _, node := range r.facts.Nodes {
		// Where pods are seen, a node without one lacks something.
		if _, found := known[node.Name]; !found && (!pods || !ordinary(node) || r.young(node.CreationTimestamp)) {
			known[node.Name] = diagnosis.Agent{Problem: "nothing there could be asked"}
		}
	}
	r.facts.Agents = known
	if err != nil {
		r.gaps.add(gap{"pods of what programs some nodes", explain(err), "whether all nodes know of the Service was not checked"})
	}
}

func (r *reading) noAgents(err, pageErr error) {
	reason := fmt.Sprintf("no pods of switchyard-node in namespace %s, nor of kube-proxy in %s", r.System, metav1.NamespaceSystem)
	switch {
	case err != nil:
		if reason = explain(err); reason == mayNot {
			reason = fmt.Sprintf("you may not list pods of %s and %s", r.System, metav1.NamespaceSystem)
		}
	case r.Local && pageErr != nil:
		reason = explain(pageErr)
	}
	r.gaps.add(gap{"what programs the nodes", reason, "whether nodes know of the Service was not checked"})
}

// agentPods reads them. Weak are those whose pod has no probe to say that it works.
func (r *reading) agentPods(ctx context.Context, known map[string]diagnosis.Agent, weak map[string]bool) error {
	ready := map[string]bool{}
	for _, node := range r.facts.Nodes {
		ready[node.Name] = ordinary(node)
	}
	var failed error
	for _, p := range r.programs() {
		pods, err := collect(ctx, r.Reader, &corev1.PodList{}, podsOf, everything, client.InNamespace(p.namespace), p.labels)
		if err != nil {
			failed = err
		}
		for _, pod := range pods {
			if pod.DeletionTimestamp != nil || pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
				continue
			}
			agent := r.agentOf(p.name, pod)
			if isReady, listed := ready[pod.Spec.NodeName]; listed && !isReady {
				agent = diagnosis.Agent{Name: p.name, Problem: "its node is not ready"}
			}
			if other, seen := known[pod.Spec.NodeName]; !seen || rank(agent) > rank(other) {
				known[pod.Spec.NodeName] = agent
				weak[pod.Spec.NodeName] = agent.Asked && agent.Healthy && !probed(pod)
			}
		}
	}
	return failed
}

// rank prefers the better of two on one node, as when one takes over.
func rank(agent diagnosis.Agent) int {
	switch {
	case agent.Healthy && agent.Synced:
		return 2
	case !agent.Asked:
		return 1
	}
	return 0
}

// agentOf takes a pod by its Ready condition.
func (r *reading) agentOf(name string, pod *corev1.Pod) diagnosis.Agent {
	agent := diagnosis.Agent{Name: name, Asked: true}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			agent.Healthy, agent.Synced = true, true
			return agent
		}
	}
	what := "is not ready"
	agent.Healthy = pod.Status.Phase == corev1.PodRunning
	for _, status := range pod.Status.ContainerStatuses {
		switch {
		case status.State.Waiting != nil && status.State.Waiting.Reason != "":
			agent.Healthy, what = false, "waits: "+status.State.Waiting.Reason
		case status.State.Terminated != nil:
			agent.Healthy, what = false, "has ended: "+status.State.Terminated.Reason
		}
	}
	agent.Problem = fmt.Sprintf("pod %s/%s %s", pod.Namespace, pod.Name, what)
	if r.young(pod.CreationTimestamp) {
		agent.Asked, agent.Healthy = false, false // it is given time
	}
	return agent
}

// young tells of what may still be on its way.
func (r *reading) young(created metav1.Time) bool {
	return r.facts.Now.Sub(created.Time) < youth
}

func probed(pod *corev1.Pod) bool {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].ReadinessProbe != nil {
			return true
		}
	}
	return false
}

// ordinary nodes are ready, run Linux, and are machines: the others have no agent,
// or one that cannot be judged.
func ordinary(node *corev1.Node) bool {
	if system := node.Labels[corev1.LabelOSStable]; system != "" && system != "linux" {
		return false
	}
	if node.Labels["type"] == "virtual-kubelet" || node.Labels["eks.amazonaws.com/compute-type"] == "fargate" {
		return false
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return true
}

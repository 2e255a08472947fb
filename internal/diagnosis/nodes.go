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

	corev1 "k8s.io/api/core/v1"
)

// node is nil if it is not there or nodes could not be seen.
func (e *examination) node(name string) *corev1.Node { return e.nodes[name] }

func nodesByName(nodes []*corev1.Node) map[string]*corev1.Node {
	byName := make(map[string]*corev1.Node, len(nodes))
	for _, node := range nodes {
		byName[node.Name] = node
	}
	return byName
}

func (e *examination) nodeMissing(pod *corev1.Pod) bool {
	return pod.Spec.NodeName != "" && len(e.Nodes) > 0 && e.node(pod.Spec.NodeName) == nil
}

// nodeReady takes a node at its word; one that says nothing is ready.
func nodeReady(node *corev1.Node) bool {
	condition := nodeReadiness(node)
	return condition == nil || condition.Status == corev1.ConditionTrue
}

func nodeReadiness(node *corev1.Node) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

// nodeTrouble says what is wrong with a pod's node, in a clause.
func (e *examination) nodeTrouble(name string) string {
	if name == "" || len(e.Nodes) == 0 {
		return ""
	}
	node := e.node(name)
	if node == nil {
		return fmt.Sprintf("node %s does not exist", name)
	}
	switch condition := nodeReadiness(node); {
	case condition == nil || condition.Status == corev1.ConditionTrue:
		return ""
	case condition.Status == corev1.ConditionUnknown:
		return fmt.Sprintf("node %s has stopped reporting", name)
	default:
		return fmt.Sprintf("node %s is not ready", name)
	}
}

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

package announce

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Reason says why a node does not announce an address; it is empty if it may.
type Reason string

// The reasons.
const (
	// NodeUnknown is that of a node without Node object.
	NodeUnknown Reason = "NodeUnknown"
	// NodeExcluded is that of the label node.kubernetes.io/exclude-from-external-load-balancers.
	NodeExcluded Reason = "NodeExcluded"
	// NodeLeaving is that of a Node that is being deleted, by somebody or by the
	// cluster autoscaler.
	NodeLeaving Reason = "NodeLeaving"
	// NodeNotReady is that of a node whose condition Ready is not true.
	NodeNotReady Reason = "NodeNotReady"
	// NoService means that no Service that this node serves has the address.
	NoService Reason = "NoService"
	// NoEndpoint means that a Service wants to be reached where it has a ready
	// endpoint, and has none on this node.
	NoEndpoint Reason = "NoEndpoint"
)

// Standing is how much a node is wanted for announcements at all.
type Standing uint8

// The standings, the best one last.
const (
	// Unfit nodes announce nothing.
	Unfit Standing = iota
	// LastResort nodes announce what no Fit node can: when no node is ready, the
	// reason is rather the control plane's than all of theirs.
	LastResort
	// Fit nodes announce.
	Fit
)

// String is as in logs.
func (s Standing) String() string { return [...]string{"unfit", "last resort", "fit"}[s] }

// toBeDeleted is the cluster autoscaler's taint on nodes that go away (KEP-3836).
const toBeDeleted = "ToBeDeletedByClusterAutoscaler"

// StandingOf judges a Node, nil for one that does not exist, and says why it is not
// Fit.
//
// That a node is unschedulable is no reason: it says that no pod is to begin
// there. The pods that it has, and its table, work as before, and to move an
// address breaks the connections that go through the node. `kubectl drain` ends
// the pods, which moves what is Local; what is not moves when the node or its agent stops.
func StandingOf(node *corev1.Node) (Standing, Reason) {
	if node == nil {
		return Unfit, NodeUnknown
	}
	if _, excluded := node.Labels[corev1.LabelNodeExcludeBalancers]; excluded { // whatever its value
		return Unfit, NodeExcluded
	}
	leaving := slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == toBeDeleted })
	if leaving || !node.DeletionTimestamp.IsZero() {
		return Unfit, NodeLeaving
	}
	ready := slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
	if !ready {
		return LastResort, NodeNotReady
	}
	return Fit, ""
}

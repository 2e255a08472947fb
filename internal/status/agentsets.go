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

package status

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// AgentSet is a DaemonSet of agents.
type AgentSet struct {
	Name string
	// Wanted is how many nodes are to have a pod, as its controller says.
	Wanted int
	// Unobserved tells that the controller has not looked at it yet as it is now.
	Unobserved bool
	Created    time.Time
}

// agentSets finds what should have made agents, where there are none.
func (r *reading) agentSets(ctx context.Context) {
	err := each(ctx, r.Reader, &appsv1.DaemonSetList{}, func(l *appsv1.DaemonSetList) {
		for i := range l.Items {
			set := &l.Items[i]
			if set.DeletionTimestamp != nil {
				continue
			}
			r.facts.AgentSets = append(r.facts.AgentSets, AgentSet{
				Name: set.Name, Wanted: int(set.Status.DesiredNumberScheduled),
				Unobserved: set.Status.ObservedGeneration < set.Generation, Created: set.CreationTimestamp.Time,
			})
		}
	}, client.InNamespace(r.System), client.MatchingLabels{nameLabel: "switchyard", componentLabel: nodeComponent})
	if err != nil {
		r.unseen("whether there should be agents", err, "ask for a role that can list DaemonSets of namespace "+r.System)
	}
}

// agentSets warns of those that have no pod at all. One that no node is chosen for is
// so on purpose.
func (w *warner) agentSets() {
	if len(w.facts.Agents) > 0 {
		return
	}
	for _, set := range w.facts.AgentSets {
		describe := fmt.Sprintf("kubectl -n %s describe daemonset %s", w.facts.System, set.Name)
		switch {
		case w.now.Sub(set.Created) < youth:
		case set.Unobserved:
			w.warn(AgentMissing, []string{set.Name}, "is kube-controller-manager there? "+describe,
				"no controller has looked at the agents' DaemonSet, which has no pod: no switchyard-node runs")
		case set.Wanted > 0:
			w.warn(AgentMissing, []string{set.Name}, describe+" says why",
				"the agents' DaemonSet wants %s and has none: no switchyard-node runs", plural(set.Wanted, "pod"))
		}
	}
}

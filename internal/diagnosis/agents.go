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
	"maps"
	"slices"
)

// leftToOther tells of a Service that another proxy is to program.
func (e *examination) leftToOther() (proxy string, is bool) {
	proxy, is = e.Service.Labels[proxyLabel]
	return proxy, is && e.proxied()
}

// agents is about what programs the nodes.
func (e *examination) agents() Step {
	if _, other := e.leftToOther(); e.Agents == nil || !e.proxied() || other {
		return Step{}
	}
	bad, unasked, well, reason := e.agentsByHealth()
	missing := e.nodesWithoutAgent()
	switch client := e.clientNode(); {
	case slices.Contains(well, client):
		// The client's node is where its connections are translated.
		return Step{State: OK, Message: fmt.Sprintf("the agent of node %s, on which the client is, is healthy and synced", client), Details: e.agentLines(bad)}
	case slices.Contains(bad, client):
		return e.mayBeBehind([]string{client}, agentReason(e.Agents[client]))
	case slices.Contains(missing, client) && len(well) > 0:
		return Step{State: Problem, Reason: AgentMissing, Remedy: "see why its pod does not run there",
			Message: fmt.Sprintf("node %s, on which the client is, is without what programs Services, which other nodes have", client)}
	case len(bad) > 0 && !slices.Contains(unasked, client):
		return e.mayBeBehind(bad, reason)
	case len(missing) > 0 && len(well) > 0:
		return Step{State: Warning, Reason: AgentMissing, Message: onNodes(missing) + " without what programs Services, which other nodes have",
			Remedy: "see why its pod does not run there"}
	case len(e.Agents) == 0:
		return Step{State: Unknown, Reason: NotSeen, Message: "what programs the nodes was not found"}
	case len(well) == 0 || slices.Contains(unasked, client):
		why := e.Agents[unasked[0]].Problem
		if why == "" {
			why = "it was not asked"
		}
		return Step{State: Unknown, Reason: NotSeen,
			Message: fmt.Sprintf("the agents of nodes could not be asked (%s): %s", enumerate(unasked, maxNames), quote(why))}
	}
	return Step{State: OK, Message: fmt.Sprintf("the agents of %s are healthy and synced", counted(len(well), "node"))}
}

// agentsByHealth are the nodes whose agents are not well, could not be asked, and are
// well; reason is that of the first.
func (e *examination) agentsByHealth() (bad, unasked, well []string, reason Reason) {
	reason = AgentNotSynced
	for _, node := range slices.Sorted(maps.Keys(e.Agents)) {
		switch agent := e.Agents[node]; {
		case !agent.Asked:
			unasked = append(unasked, node)
		case agent.Healthy && agent.Synced:
			well = append(well, node)
		default:
			bad = append(bad, node)
			if !agent.Healthy {
				reason = AgentUnhealthy
			}
		}
	}
	return bad, unasked, well, reason
}

// mayBeBehind is about nodes that have the rules of before, if they had some: what
// is programmed stays while its agent is down.
func (e *examination) mayBeBehind(nodes []string, reason Reason) Step {
	first := e.Agents[nodes[0]]
	return Step{State: Warning, Reason: reason, Details: e.agentLines(nodes),
		Message: fmt.Sprintf("%s%s may know an older state of it, or nothing: %s",
			either(len(nodes), "node ", "nodes "), enumerate(nodes, maxNames), e.agentLine(nodes[0])),
		Remedy: fmt.Sprintf("see the log of %s on node %s", agentName(first), nodes[0])}
}

// onNodes is "node n1 is", "nodes n1 and n2 are".
func onNodes(nodes []string) string {
	return either(len(nodes), "node ", "nodes ") + enumerate(nodes, maxNames) + either(len(nodes), " is", " are")
}

func (e *examination) clientNode() string {
	if e.Client == nil || e.Client.Pod == nil {
		return ""
	}
	return e.Client.Pod.Spec.NodeName
}

// nodesWithoutAgent are ready nodes on which none was found.
func (e *examination) nodesWithoutAgent() []string {
	var missing []string
	for _, node := range e.Nodes {
		if _, found := e.Agents[node.Name]; !found && nodeReady(node) {
			missing = append(missing, node.Name)
		}
	}
	slices.Sort(missing)
	return missing
}

func agentReason(agent Agent) Reason {
	if !agent.Healthy {
		return AgentUnhealthy
	}
	return AgentNotSynced
}

func agentName(agent Agent) string {
	if agent.Name == "" {
		return "the agent"
	}
	return agent.Name
}

// agentLine says what is wrong with one.
func (e *examination) agentLine(node string) string {
	agent := e.Agents[node]
	what := "is not healthy"
	if agent.Healthy {
		what = "is not ready, and may not have programmed all"
	}
	line := fmt.Sprintf("%s on node %s %s", agentName(agent), node, what)
	if problem := quote(agent.Problem); problem != "" {
		line += " (" + problem + ")"
	}
	return line
}

func (e *examination) agentLines(nodes []string) []string {
	lines := make([]string, 0, len(nodes))
	for _, node := range nodes {
		lines = append(lines, e.agentLine(node))
	}
	return lines
}

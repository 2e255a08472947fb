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

package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/explain"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/lookup"
)

// Settings are those of the agent on the node.
type Settings struct {
	Node               agent.NodeOptions
	Features           policy.Features
	Store              model.Options
	WithoutExternalIPs bool
	// Known says where they are from, Assumed what was taken for granted.
	Known   string
	Assumed []string
}

// Answer is what becomes of a connection to one destination.
type Answer struct {
	explain.Result
	From string `json:"from"`
	To   string `json:"to"`
	// Settings says where those of the node are from.
	Settings string `json:"settings"`
	// Assumptions are what the answer takes for granted.
	Assumptions []string `json:"assumptions,omitempty"`
	// Chances are of the outcome's targets, in their order, and sum up to 1.
	Chances []float64 `json:"chances,omitempty"`
	// Advice is what the user can do about it.
	Advice []string `json:"advice,omitempty"`
	// Live is what a real connection showed, nil if none was made.
	Live *Report `json:"live,omitempty"`

	question explain.Question
}

// Explain answers for one of the destinations.
func (o Objects) Explain(a Asked, to lookup.Destination, s Settings) (Answer, error) {
	world, err := o.world(a.Node, model.FamilyOf(to.Addr()), s)
	if err != nil {
		return Answer{}, err
	}
	q := question(a, to, s.Features.LocalInterface)
	answer := Answer{
		Result: explain.New(world).Explain(q), question: q, Settings: s.Known, Assumptions: slices.Concat(s.Assumed, o.Unread),
		From: sourceText(a.Source, q.Source), To: destinationText(to),
	}
	if q.Interface != "" {
		answer.Assumptions = append(answer.Assumptions, fmt.Sprintf("the pod is behind an interface that matches %q", s.Features.LocalInterface))
	}
	answer.Chances = chances(answer.Result)
	answer.Advice = o.advise(answer, a)
	return answer, nil
}

func (o Objects) world(name string, family model.Family, s Settings) (explain.World, error) {
	objects := o.rendered(s.WithoutExternalIPs)
	node := objects.Node(name)
	if node == nil {
		return explain.World{}, fmt.Errorf("there is no node %s", name)
	}
	facts := agent.Facts{Node: node, Local: addresses(node), ServiceCIDRs: objects.CIDRs()}
	store, _ := objects.Store(s.Store)
	return explain.World{
		Store: store, Place: facts.Place(name, s.Node), Node: facts.Shape(family, s.Node), Features: s.Features,
	}, nil
}

// question is the packet as it reaches the node. Which interface a pod is
// behind is not known from outside, only that it is one of the node's pods.
func question(a Asked, to lookup.Destination, pattern string) explain.Question {
	source, _ := a.Source.Of(to.Addr())
	here := a.Source.Node == a.Node
	q := explain.Question{
		Source: source, Destination: to.AddrPort, Protocol: protocolOf(to.Protocol),
		FromNode: here && (a.Source.Kind == lookup.Node || a.Source.HostNetwork),
	}
	if here && !q.FromNode {
		q.Interface = strings.TrimSuffix(pattern, "*")
	}
	return q
}

func protocolOf(protocol corev1.Protocol) model.Protocol {
	switch protocol {
	case corev1.ProtocolUDP:
		return model.UDP
	case corev1.ProtocolSCTP:
		return model.SCTP
	}
	return model.TCP
}

func sourceText(s lookup.Source, addr netip.Addr) string {
	switch s.Kind {
	case lookup.Pod:
		return fmt.Sprintf("pod %s/%s on %s (%s)", s.Namespace, s.Name, s.Node, addr)
	case lookup.Node:
		return fmt.Sprintf("%s itself (%s)", s.Name, addr)
	}
	return fmt.Sprintf("outside (%s)", addr)
}

func destinationText(to lookup.Destination) string {
	text := fmt.Sprintf("%s %s", to.Protocol, to.AddrPort)
	if to.Name != "" {
		text = fmt.Sprintf("%s (%s)", to.Name, text)
	}
	return text
}

// chances are in proportion to the weights of those endpoints that are chosen.
func chances(r explain.Result) []float64 {
	weights, sum := map[string]float64{}, 0.0
	for _, e := range r.Endpoints {
		weights[e.Address] = float64(max(e.Weight, 1))
	}
	for _, target := range r.Outcome.Targets {
		sum += max(weights[target.Address.String()], 1)
	}
	list := make([]float64, 0, len(r.Outcome.Targets))
	for _, target := range r.Outcome.Targets {
		list = append(list, max(weights[target.Address.String()], 1)/sum)
	}
	return list
}

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

package explain

import (
	"net/netip"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// World is the cluster as one node sees it, in one family.
type World struct {
	Store    *model.Store
	Place    policy.Place
	Node     policy.Node
	Features policy.Features
}

// Question is the first packet of a connection as it reaches the node.
type Question struct {
	// Source is the client's address, of the family of Destination.
	Source netip.Addr
	// FromNode is true for a process of the node itself.
	FromNode bool
	// Interface is where the packet comes in. It tells pods only where
	// Features.LocalInterface does.
	Interface   string
	Destination netip.AddrPort
	Protocol    model.Protocol
}

// Result is the answer.
type Result struct {
	Question string `json:"question"`
	Node     string `json:"node"`
	// Service is who the destination belongs to, empty for nobody.
	Service string `json:"service,omitempty"`
	// Steps are the reasons, in order.
	Steps []Step `json:"steps"`
	// Endpoints are all that the ServicePort has in this family.
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	Outcome   Outcome    `json:"outcome"`
	// Rules are the nftables rules that took effect, as "chain: rule".
	Rules []string `json:"rules,omitempty"`
	// Doubt is set when the rules do otherwise than the reasons say, which is
	// an error of this program.
	Doubt string `json:"doubt,omitempty"`
}

// Step is one decision on the way.
type Step struct {
	// About is a word or two: "destination", "scope".
	About string `json:"about"`
	// Says is one sentence.
	Says string `json:"says"`
}

// Endpoint is one endpoint of the ServicePort.
type Endpoint struct {
	Address string `json:"address"`
	Pod     string `json:"pod,omitempty"`
	Node    string `json:"node,omitempty"`
	Zone    string `json:"zone,omitempty"`
	Chosen  bool   `json:"chosen"`
	// Why is a clause about it, as in "is not ready".
	Why string `json:"why"`
	// Weight is its share for the weighted scheduler, 0 for any other.
	Weight uint16 `json:"weight,omitempty"`
}

// End is how it ends.
type End string

// The ends.
const (
	// ToEndpoints goes to one of the outcome's targets.
	ToEndpoints End = "endpoints"
	// Refused is answered with a TCP reset or ICMP port unreachable.
	Refused End = "refused"
	// Dropped is never answered.
	Dropped End = "dropped"
	// PassedOn is none of our business: routed as any other packet.
	PassedOn End = "passed on"
)

// Outcome is what becomes of the connection.
type Outcome struct {
	End End `json:"end"`
	// Targets are where it may go, sorted.
	Targets []Target `json:"targets,omitempty"`
}

// Target is one of the endpoints that a connection may go to.
type Target struct {
	Address netip.AddrPort `json:"address"`
	// Masqueraded is true if the endpoint sees the node as its client.
	Masqueraded bool `json:"masqueraded"`
}

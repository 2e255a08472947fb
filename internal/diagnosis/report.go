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

import "k8s.io/apimachinery/pkg/types"

// Name is a NamespacedName that is in small letters for machines, too.
type Name struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

func (n Name) String() string { return types.NamespacedName(n).String() }

// ClientName is who wants to connect.
type ClientName struct {
	Pod *Name `json:"pod,omitempty"`
	// Node is the client, or where its pod is.
	Node    string `json:"node,omitempty"`
	Address string `json:"address,omitempty"`
	// Unseen is why nothing is known of it, empty if something is.
	Unseen string `json:"unseen,omitempty"`
}

// Report is what an examination found.
type Report struct {
	Service Name `json:"service"`
	// Client is who was asked for, nil for anybody.
	Client *ClientName `json:"client,omitempty"`
	// Steps are the checks that mean something for this Service, in the order in
	// which a connection depends on them.
	Steps   []Step  `json:"steps"`
	Verdict Verdict `json:"verdict"`
	// Unseen are the reasons why something could not be read, each once.
	Unseen []string `json:"unseen,omitempty"`
}

// Step is the outcome of one check.
type Step struct {
	Check Check `json:"check"`
	State State `json:"state"`
	// Reason is CamelCase and stable; empty if all is well.
	Reason Reason `json:"reason,omitempty"`
	// Message is one sentence without a full stop, that names pods and ports.
	Message string `json:"message"`
	// Details are lines about single pods, ports or nodes, the worst first, bounded.
	Details []string `json:"details,omitempty"`
	// Remedy is what to change, empty if nothing.
	Remedy string `json:"remedy,omitempty"`
	// Provided is what has to be so for the Service to answer although nothing says
	// that it is; empty if there is no such thing.
	Provided string `json:"provided,omitempty"`
	// kind is what could not be read, and why, if that is all there is to say.
	kind Kind
	why  string
}

// State is how a check came out.
type State string

// The states, from good to bad.
const (
	// OK is as it should be.
	OK State = "ok"
	// Unknown could not be found out.
	Unknown State = "unknown"
	// Warning does not keep the Service from answering, or only some clients, nodes
	// or ports.
	Warning State = "warning"
	// Problem keeps it from answering.
	Problem State = "problem"
)

// Check names a step of the chain. The names are stable.
type Check string

// The checks, in order.
const (
	CheckService         Check = "service"
	CheckClient          Check = "client"
	CheckAddresses       Check = "addresses"
	CheckConflicts       Check = "conflicts"
	CheckSelector        Check = "selector"
	CheckReadiness       Check = "readiness"
	CheckPorts           Check = "ports"
	CheckFamilies        Check = "families"
	CheckSlices          Check = "slices"
	CheckTraffic         Check = "traffic policies"
	CheckSources         Check = "source ranges"
	CheckAgents          Check = "agents"
	CheckNetworkPolicies Check = "network policies"
	CheckDNS             Check = "dns"
)

// Verdict is the answer in one sentence.
type Verdict struct {
	// State is the worst of the steps, but that what is unknown makes it unknown only
	// where everything else is well.
	State State `json:"state"`
	// Reason is that of the step that decides, empty if it answers.
	Reason Reason `json:"reason,omitempty"`
	// Check is that step.
	Check Check `json:"check,omitempty"`
	// Sentence says what is wrong and what to change, or that it answers.
	Sentence string `json:"sentence"`
}

// Step returns the step of a check, if it was made.
func (r *Report) Step(check Check) (Step, bool) {
	for _, step := range r.Steps {
		if step.Check == check {
			return step, true
		}
	}
	return Step{}, false
}

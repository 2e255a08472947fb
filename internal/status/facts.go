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
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
)

// Facts are what is known of a cluster at one time.
type Facts struct {
	// Server is where the API server is, Version what it says it is.
	Server, Version string
	// System is the namespace of the manager and the agents.
	System string
	// Index has the Services, pools and reservations.
	Index *inventory.Index
	Audit audit.Report
	Nodes []Node
	// Managers, Agents and DNS are what runs of each.
	Managers, Agents, DNS []Instance
	// AgentSets are those that should have made agents; read where there are none.
	AgentSets []AgentSet
	// DNSService is the Service of DNS, which is looked at if none of its pods is found.
	DNSService DNSService
	Leader     Leader
	Webhooks   []Webhook
	// Elsewhere are the Services, as namespace/name, that webhooks of Switchyard lead to
	// in other namespaces.
	Elsewhere []string
	// Serving are the certificates that managers were seen to serve, by their names.
	Serving map[string]time.Time
	// NotServing are those whose certificate could not be seen, and why: one that runs
	// without webhooks serves none.
	NotServing map[string]error
	// Judged are the requests that managers have judged, by result; nil where their
	// counters were not asked.
	Judged map[string]int
	// Answers are what agents said, by their names: while one takes the place of
	// another, a node has two.
	Answers map[string]Answer
	// Chosen are the names of the agents that are listed, and asked if they can be.
	Chosen map[string]bool
	Unseen []Unseen
	// Unknown are the lists of Facts that could not be read, so that nothing is
	// concluded from their being empty.
	Unknown map[List]bool
}

// List is one of the lists of Facts.
type List string

// The lists that may be unknown.
const (
	ListNodes    List = "nodes"
	ListProgram  List = "programs"
	ListDNS      List = "dns"
	ListWebhooks List = "webhooks"
	ListLeader   List = "leader"
)

// Unseen is something that could not be looked at.
type Unseen struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
	Remedy string `json:"remedy,omitempty"`
	// Forbidden tells that the user lacks the right, Absent that there is no such
	// thing to look at.
	Forbidden bool `json:"forbidden,omitempty"`
	Absent    bool `json:"absent,omitempty"`
}

// Node is a node of the cluster.
type Node struct {
	Name    string
	Ready   bool
	Kernel  string
	Created time.Time
	// Ordinary nodes run Linux on a machine; the others have no agent.
	Ordinary bool
}

// Instance is one program that runs, as a pod or a process.
type Instance struct {
	// Name is that of the pod or process.
	Name string
	Pod  types.NamespacedName
	Node string
	// Version is the tag or digest of the image.
	Version string
	Ready   bool
	// Why it is not ready.
	Why     string
	Created time.Time
	// Restarts are those since it was created, LastExit how it ended last, Restarted
	// when it ran again.
	Restarts  int
	LastExit  string
	Restarted time.Time
	// Logs is a command that prints its log.
	Logs string
	// Ports are where it is asked on its loopback.
	Ports Ports
}

// DNSService is kube-system/kube-dns, if it was found, and how many endpoints of it
// are ready.
type DNSService struct {
	Found bool
	Ready int
}

// Leader is the replica of the manager that does what only one may do.
type Leader struct {
	Name    string
	Renewed time.Time
	// Lasts is how long it leads without renewing.
	Lasts time.Duration
}

// Webhook is one entry of a webhook configuration that leads to us.
type Webhook struct {
	Configuration, Name string
	Mutating            bool
	Policy              admissionv1.FailurePolicyType
	// CAEnds is when the last authority of its bundle ends, zero if there is none
	// that can be read.
	CAEnds time.Time
	// Counts are the API server's, since it was started; nil where they could not
	// be read.
	Counts *WebhookCounts
}

// WebhookCounts are what became of the API server's calls of one webhook.
type WebhookCounts struct {
	Requests int `json:"requests"`
	// Passed are those that it let pass since the webhook did not answer.
	Passed int `json:"letPass"`
	Denied int `json:"denied"`
	// Failed are those that it refused since the webhook did not answer.
	Failed int `json:"refusedUnanswered"`
}

// Answer is what an agent said of itself.
type Answer struct {
	Err     error
	Version string
	// Now is the clock of its node.
	Now, Started time.Time
	// Synced is when the family that is further behind was last programmed, zero
	// before the first time.
	Synced time.Time
	// Pending are changes that are not programmed yet, Late tells that one of them is
	// for longer than the agent calls healthy.
	Pending int
	Late    bool
	// Unready tells that a family was not programmed yet.
	Unready bool
	// Repairs are foreign changes that were undone since the start, Repaired when the
	// last was, if the agent says so.
	Repairs  int
	Repaired time.Time
	// Problems are parts of objects that could not be used, since the start.
	Problems                int
	Failures                int
	ServicePorts, Endpoints int
}

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

// Reason says in one word why a check did not come out well. The words are
// those of conditions and Events, and do not change.
type Reason string

// The reasons, by check. Numbers of the Service have those of their findings.
const (
	// NotFound and Deleting are about the Service itself.
	NotFound Reason = "NotFound"
	Deleting Reason = "Deleting"
	// LeftToOtherProxy is a Service that the nodes' usual agents leave out.
	LeftToOtherProxy Reason = "LeftToOtherProxy"

	// NoClusterIP and NoNodePort are what the API server should have given.
	NoClusterIP Reason = "NoClusterIP"
	NoNodePort  Reason = "NoNodePort"
	// LoadBalancerPending is no address from a load balancer.
	LoadBalancerPending Reason = "LoadBalancerPending"
	// AddressNotAnnounced is a load balancer's address for which no node answers.
	AddressNotAnnounced Reason = "AddressNotAnnounced"
	// NotExposed is no way in for a client outside.
	NotExposed Reason = "NotExposed"
	// InvalidExternalName and ExternalNameNotFound are about the target of an ExternalName.
	InvalidExternalName  Reason = "InvalidExternalName"
	ExternalNameNotFound Reason = "ExternalNameNotFound"

	// NumberWrong is about a number whose finding has no reason of its own.
	NumberWrong Reason = "NumberWrong"

	// NoMatchingPods is a selector without pods, NoSelectorNoEndpoints neither a
	// selector nor endpoints by another hand.
	NoMatchingPods        Reason = "NoMatchingPods"
	NoSelectorNoEndpoints Reason = "NoSelectorNoEndpoints"
	// EndpointsNotMirrored is an Endpoints object that no EndpointSlice follows.
	EndpointsNotMirrored Reason = "EndpointsNotMirrored"

	// PodsNotReady, NodeUnknown and OnlyTerminatingPods are about the state of pods.
	PodsNotReady        Reason = "PodsNotReady"
	NodeUnknown         Reason = "NodeUnknown"
	OnlyTerminatingPods Reason = "OnlyTerminatingPods"

	// NamedPortNotFound and ProtocolMismatch are about target ports.
	NamedPortNotFound Reason = "NamedPortNotFound"
	ProtocolMismatch  Reason = "ProtocolMismatch"

	// FamilyMismatch is endpoints without an address of the Service's family.
	FamilyMismatch Reason = "FamilyMismatch"

	// SlicesMissing and SlicesStale are EndpointSlices that do not follow the pods.
	SlicesMissing Reason = "SlicesMissing"
	SlicesStale   Reason = "SlicesStale"
	// LeftoverSlices and ForeignSlices are by another hand than they should be.
	LeftoverSlices Reason = "LeftoverSlices"
	ForeignSlices  Reason = "ForeignSlices"
	// EndpointsNotReady are slices with endpoints, none of them ready.
	EndpointsNotReady Reason = "EndpointsNotReady"
	// SlicePortMismatch are slices without a port of the Service's.
	SlicePortMismatch Reason = "SlicePortMismatch"
	// SlicesLeftOut are slices with a label by which nodes leave them out.
	SlicesLeftOut Reason = "SlicesLeftOut"
	// Truncated is an Endpoints object that does not hold all.
	Truncated Reason = "Truncated"

	// TrafficPolicyLocalWithoutLocalEndpoints is a node whose clients reach nobody.
	TrafficPolicyLocalWithoutLocalEndpoints Reason = "TrafficPolicyLocalWithoutLocalEndpoints"

	// SourceNotAllowed and InvalidSourceRanges are about loadBalancerSourceRanges.
	SourceNotAllowed    Reason = "SourceNotAllowed"
	InvalidSourceRanges Reason = "InvalidSourceRanges"

	// AgentUnhealthy, AgentNotSynced and AgentMissing are about what programs a node.
	AgentUnhealthy Reason = "AgentUnhealthy"
	AgentNotSynced Reason = "AgentNotSynced"
	AgentMissing   Reason = "AgentMissing"

	// NetworkPolicyDenies is a policy that lets nobody, or not the client, in;
	// DNSDenied one that keeps the client from asking for names.
	NetworkPolicyDenies Reason = "NetworkPolicyDenies"
	DNSDenied           Reason = "DNSDenied"

	// DNSNotReady is a cluster whose DNS server has no ready endpoint.
	DNSNotReady Reason = "DNSNotReady"

	// ClientEnded is a pod that connects to nothing any more.
	ClientEnded Reason = "ClientEnded"

	// NotSeen is what could not be read, and ChangedJustNow what is not yet to be
	// seen by what follows it.
	NotSeen        Reason = "NotSeen"
	ChangedJustNow Reason = "ChangedJustNow"
)

// The reasons of conditions that are as they should be.
const (
	EndpointsReady Reason = "EndpointsReady"
	IsReachable    Reason = "Reachable"
	Allocated      Reason = "Allocated"
	NoConflict     Reason = "NoConflict"
	// NotNeeded is the reason where a Service of its type has no such thing.
	NotNeeded Reason = "NotNeeded"
)

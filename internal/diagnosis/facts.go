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
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Facts are what is known when a Service is examined. Nothing of it is modified.
// A kind that could not be read is named in Unseen, and its field is empty.
type Facts struct {
	// Name is the Service that was asked for.
	Name types.NamespacedName
	// Service is nil if there is none of that name.
	Service *corev1.Service
	// NoNamespace tells that the Service's namespace does not exist either, and
	// NamespaceDeleting that nothing can be made in it any more.
	NoNamespace, NamespaceDeleting bool
	// Services are others that help to say what is meant: those of the same name in
	// other namespaces and those of the same namespace while Service is nil; for an
	// ExternalName that is a Service's name in this cluster, all of the namespace
	// that the name is in.
	Services []types.NamespacedName

	// Selected are the pods that the selector matches, in whatever state.
	Selected []*corev1.Pod
	// Others are the rest of the namespace's pods; needed while Selected is empty
	// although there is a selector.
	Others []*corev1.Pod
	// Slices are all with the Service's name, whoever manages them.
	Slices []*discoveryv1.EndpointSlice
	// Endpoints is the object of the Service's name, nil if there is none.
	Endpoints *corev1.Endpoints
	// Nodes are all of the cluster; none are the same as if they could not be read.
	Nodes []*corev1.Node

	// Numbers are what is wrong with the Service's addresses and ports, most
	// important first (see internal/audit).
	Numbers []NumberFinding
	// NetworkPolicies are those of the Service's namespace, and of the client's.
	NetworkPolicies []*networkingv1.NetworkPolicy
	// Namespaces are the labels of the namespaces of the Service, the client and
	// the cluster's DNS (kube-system), as far as NetworkPolicies ask for them.
	Namespaces map[string]labels.Set

	// Agents are what programs the nodes, by node; nil if nobody looked, empty if
	// there are none to be seen.
	Agents map[string]Agent
	// DNSServer is the Service of the cluster's DNS; nil if there is none of the usual
	// label, or nobody looked.
	DNSServer *DNSServer

	// Unannounced are load balancer addresses of the Service for which no node answers,
	// although nodes do for such addresses.
	Unannounced []string

	// Zone is the domain of the cluster's names in small letters, without a dot at its
	// end. If it is empty, nothing is said of the Service's name, and DefaultZone holds.
	Zone string
	// Client is who wants to connect; nil for anybody.
	Client *Client
	// ClientUnseen is the one that was asked for, if it could not be found out who
	// that is: what is said is for anybody then.
	ClientUnseen *ClientName
	// Now is when the facts were read. What changed less than a minute before
	// is given time: pods that start beside ready ones, slices that follow. If it is
	// zero, nothing is.
	Now time.Time
	// Unseen says why a kind could not be read.
	Unseen map[Kind]string
}

// Client is where a connection to the Service comes from.
type Client struct {
	// Pod is nil if it is no pod. A node is one on the host's network, without a
	// namespace.
	Pod *corev1.Pod
	// Address is one of a client outside, invalid for pods.
	Address netip.Addr
}

// NumberFinding is something wrong with an address or port of the Service.
type NumberFinding struct {
	// Reason is CamelCase, such as NumberHeldTwice.
	Reason string
	// Number is the address or port.
	Number string
	// Message says what is wrong, Remedy what to do about it; no full stops.
	Message, Remedy string
	// Error tells that traffic goes wrong, not just that something is odd.
	Error bool
	// Unallocated tells that the number is not the Service's to have: its record is
	// missing, wrong or out of range. Otherwise somebody else has it, too.
	Unallocated bool
}

// Agent is what programs the Services of one node.
type Agent struct {
	// Name is what it is: switchyard-node, kube-proxy.
	Name string
	// Healthy and Synced are what its health page says.
	Healthy, Synced bool
	// Problem is in its own words, or why it could not be asked, empty otherwise.
	Problem string
	// Asked is false if it could not be.
	Asked bool
}

// DNSServer is whom pods ask for names.
type DNSServer struct {
	Service types.NamespacedName
	// Endpoints are all that it has, Ready those that take questions.
	Endpoints, Ready int
}

// Kind is a kind of object that facts are from, in the plural.
type Kind string

// The kinds.
const (
	Services        Kind = "Services"
	Pods            Kind = "Pods"
	EndpointSlices  Kind = "EndpointSlices"
	Endpoints       Kind = "Endpoints"
	Nodes           Kind = "Nodes"
	Numbers         Kind = "numbers"
	NetworkPolicies Kind = "NetworkPolicies"
	Namespaces      Kind = "Namespaces"
	Agents          Kind = "agents"
)

// unseen tells whether one of the kinds could not be read, and why.
func (f *Facts) unseen(kinds ...Kind) (why string, missing bool) {
	for _, kind := range kinds {
		if why, missing := f.Unseen[kind]; missing {
			return quote(why), true
		}
	}
	return "", false
}

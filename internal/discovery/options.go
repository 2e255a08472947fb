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

package discovery

// Options are what records depend on beside the objects.
type Options struct {
	// Zone is the cluster's domain, fully qualified: "cluster.local.".
	Zone string
	// TTL is how long an answer may be kept, in seconds.
	TTL uint32
	// EndpointPodNames names endpoints without hostname after their pods, if
	// the pod's name is a label, in place of their addresses.
	EndpointPodNames bool
	// IgnoreEmpty takes a Service with a ClusterIP and without a ready endpoint
	// as one that does not exist, so that a client goes on to the next domain of
	// its search list.
	IgnoreEmpty bool
	// Pods says what is answered to names made of a pod's address.
	Pods PodMode
}

// DefaultTTL is the one of CoreDNS's kubernetes plugin, in seconds.
const DefaultTTL = 5

// PodMode is what the names <dashed address>.<namespace>.pod get.
type PodMode string

const (
	// PodsDisabled has no such names.
	PodsDisabled PodMode = "disabled"
	// PodsInsecure answers with the address in the name, whoever has it.
	PodsInsecure PodMode = "insecure"
	// PodsVerified answers if a pod of the namespace has the address.
	PodsVerified PodMode = "verified"
)

// Version is that of the specification, the text of dns-version.<zone>.
const Version = "1.1.0"

// VersionTTL is how long that may be kept, in seconds: it changes with the program.
const VersionTTL = 28800

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

package validation

import (
	corev1 "k8s.io/api/core/v1"
)

// Options say which API server is being stood in for. The zero value is a
// server of Kubernetes 1.37 whose allocator has done its work.
type Options struct {
	// Unallocated takes an object from before allocation: a healthCheckNodePort
	// that the server would still give is not missed.
	Unallocated bool
	// LegacyAddresses accepts octets with leading zeros, IPv4-mapped IPv6
	// addresses and CIDRs with bits beyond the prefix, as before Kubernetes 1.36
	// or with the feature gate StrictIPCIDRValidation off.
	LegacyAddresses bool
	// LegacyNames wants a Service's name to begin with a letter, as before
	// Kubernetes 1.36 (KEP-5311).
	LegacyNames bool
	// IPFamilies are those that the cluster gives ClusterIPs of, the default
	// one first. Empty means unknown: nothing is refused for its family.
	IPFamilies []corev1.IPFamily
}

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

package v1alpha1

// How Services of type LoadBalancer ask for addresses.
const (
	// LoadBalancerIPsAnnotation asks for addresses by value: one, or one of each
	// family with a comma between them. It goes before spec.loadBalancerIP, which
	// is deprecated and has one only.
	LoadBalancerIPsAnnotation = "switchyard.dev/load-balancer-ips"
	// AddressPoolAnnotation names the AddressPool that the addresses are to come
	// from. It opens no pool that does not select the Service.
	AddressPoolAnnotation = "switchyard.dev/address-pool"
	// SharingKeyAnnotation is the same on Services that share an address, each
	// with ports of its own. The key of another namespace is another key.
	SharingKeyAnnotation = "switchyard.dev/sharing-key"
	// SharingNamespacesAnnotation lists, with commas, the other namespaces whose
	// Services with this key may share the address. Those must name this one, too.
	SharingNamespacesAnnotation = "switchyard.dev/sharing-namespaces"
)

// LoadBalancerAddressAssigned is the type of the condition that says which
// addresses a Service has from an AddressPool, or why it waits for one.
const LoadBalancerAddressAssigned = "LoadBalancerAddressAssigned"

// LoadBalancerFieldManager owns the addresses in the status of a Service that are
// from an AddressPool. As the list of addresses has one owner, it is the one thing
// in a Service that says of its addresses as they are now who gave them.
const LoadBalancerFieldManager = "switchyard-loadbalancer"

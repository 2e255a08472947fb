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

// Package leftovers removes what kube-proxy has left in the kernel of a node
// where our tables serve in its place: the tables of its nftables mode, the chains
// of its iptables and ipvs modes where iptables is the kind that writes nftables,
// the device and the ipsets of its ipvs mode.
//
// It is for nodes where `kube-proxy --cleanup` can not be run, as its image or
// the program iptables is not there. It reads the kernel, decides in a pure
// function what is kube-proxy's (plan.go), and removes the ways in before what
// they lead to, with a pause in which packets that are on their way leave. It
// never removes what others refer to, nothing of kubelet's, and nothing at all
// unless our table serves.
package leftovers

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

// Package agent keeps a node's tables as the cluster's Services want them. It
// watches Services, EndpointSlices, ServiceCIDRs and the node's own Node object,
// lets packages model and policy decide, and hands each family's Table what
// changed, within milliseconds and without a sync period.
//
//	watch.go, sink.go  API events       -> model.Store, names that may have changed
//	lane.go, queue.go  names            -> policy.Decision -> Table, one loop per family
//	rename.go          port renamed     -> both halves of the change at once
//	node.go            Node, addresses  -> policy.Node, policy.Place
//	checks.go          Services         -> health-check node ports, after the kernel
//	report.go          model.Problem    -> Event on the object, log
//	traffic.go         kernel's counts  -> traffic of each Service
//
// It promises: nothing is programmed before Services, EndpointSlices, the Node
// and the ServiceCIDRs have been read in full; a change that the kernel refused
// is tried again until it holds; no object of the API is kept in memory beside
// the model; and when the agent stops, the rules stay.
//
// What it leaves alone: sysctls, which are its caller's. Traffic between a node
// and its pods needs net.ipv4.ip_forward (or the network plugin's own ways),
// which kubelet and network plugins set up, as with kube-proxy's nftables mode.
package agent

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

// Package ruleset turns what a node has decided about Services
// (policy.Decision) into nftables: a fixed schema of chains, maps and sets per
// IP family, and the elements that fill it. A Service or an endpoint exists as
// elements only, so the cost of a change does not depend on how many there are.
//
// Everything here is a plain value. The schema prints as nft text and is
// encoded for the kernel by package nft; a Planner turns changes of Decisions
// into a short ordered list of edits; a Tracer walks a packet through schema
// and elements without a kernel. The package never touches netlink, files or
// the clock.
//
// The way of the first packet of a connection:
//
//	nat-prerouting, nat-output   (later packets never come here)
//	  find-service   frontends, nodeports: where to -> route, kept in meta priority
//	  services       its flags: check-source, external-local; classes: class -> a chain
//	  pick-M ...     endpoints: protocol . id . drawn slot -> address . port, dnat
//	filter-input, -forward, -output
//	  check-endpoints, check-addresses  refuse or drop what was not translated
//	nat-postrouting
//	  translated     hairpin, external-, local- and cluster-frontends: masquerade
//
// Ids and slots are history: they are whatever the kernel already holds. Texts
// that are to be compared name ServicePorts instead.
package ruleset

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

// Package l2 answers for IP addresses at layer 2 that are on no interface: ARP for
// IPv4 and neighbour discovery for IPv6. The kernel answers neither, as it does
// not know the addresses; what arrives for them is translated by the node's
// ruleset before it would be found to be nobody's.
//
//	arp.go, ndp.go   frames <-> what they ask or claim; pure, and fuzzed
//	answer.go        what is answered to whom, and what of it is another's claim
//	port.go          the sockets of one interface: AF_PACKET, a filter, the groups
//	responder.go     all interfaces, the addresses, announcements that repeat
//
// It promises to answer for exactly the addresses that it was last given, on
// Ethernet interfaces only, and never to answer a frame of its own.
package l2

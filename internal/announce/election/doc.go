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

// Package election decides for one node which load-balancer addresses it answers
// for at layer 2. It is a state machine without client, socket or clock: what the
// API server and the network say goes in, with the time, and what to write, to
// announce and to answer comes out.
//
// Two kinds of Lease are its whole world. A *record* is a node's own and is renewed
// each second while the node may have to answer; that it has stopped is how others
// find out. A *claim* is an address's; its holder is who answers, and each change of
// holder counts its term up. All writes of claims are conditional on the version
// that was read.
//
//	idle --take, confirm--> owner --lapse--> held --confirm--> owner
//	                          |                |
//	                          +---transfer-----+--> retiring --heard, 3 s--> idle
//
// What it promises, if clocks run equally fast within a quarter, however late
// messages are:
//
//  1. No two nodes are owner of an address at a time. An owner has renewed its
//     record within 1.5 s, counted from when it sent the request, ever since a
//     write of its own to the claim. Others take a claim only if they have seen
//     no renewal for 2 s, have then read the record past every cache, and the claim
//     has not changed since before they did. An owner whose record has lapsed
//     has to write the claim before it is owner again.
//  2. An owner that should not be one gives the address to another itself, and goes
//     on answering until it hears the other, so that there is always one who does.
//  3. Who has lapsed goes on answering while nobody else announces the address:
//     without API server nothing moves, and nothing stops.
//     An owner says for a minute that it is there, for those that could not hear
//     it at first.
//  4. A node that may announce an address takes it when nobody does; who does
//     and may, keeps it. To move an address breaks connections through the node.
package election

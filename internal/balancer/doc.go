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

// Package balancer decides which addresses Services of type LoadBalancer get: it
// turns pools, reservations, Services and the record of what each has into
// decisions. It holds no client and reads no clock; the controller that feeds it
// writes what it decides, and nothing else does.
//
//   - Book knows who has each address. Observe, Forget, Reserve, SetUses and so on
//     tell it of what has changed, and Settle says what follows, in time that goes
//     with the change. Plan is the same for a whole cluster at once.
//   - A Claim is the record of one address: who has it, in the order in which they
//     came. All of the Book follows from the claims, so that the next process goes
//     on where the last one stopped.
//
// What it promises, whatever the order of events:
//
//  1. A Service that has an address keeps it while a pool that selects it has the
//     address, and it still wants the family. Neither a reservation, nor what others
//     write, nor a Service that comes or changes takes it away.
//  2. Whoever waits is served in order of creation, all of those that have an
//     address before any of those that wait.
//  3. Which one it gets: the one that it asks for and no other; else one that is
//     reserved for it; else one that it may share; else the lowest free one of its
//     pool of the highest priority, then of the first by name.
//  4. An address comes only from a pool that selects the Service, also if it is
//     asked for or reserved.
//  5. A Service that requires both families gets both or none. What it has it
//     keeps while the other is away: to take it helps nobody.
package balancer

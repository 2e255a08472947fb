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

// Package allocator decides which ClusterIPs and NodePorts Services get. It
// turns ranges and the Services that exist into free numbers, collisions and
// plans, and it holds no client: the API server stays the truth and the last
// lock, what is kept here is an index over the Services that can be thrown
// away and rebuilt at any time.
//
// From the inside out:
//
//   - bitmap is a sparse set of offsets that finds a free one in constant time.
//   - Range gives a bitmap its meaning (ports, addresses) and its two bands:
//     explicit requests come from the static one, automatic ones from the
//     dynamic one while it lasts (KEP-3070 for addresses, KEP-3668 for ports).
//   - window is the part of a Range that a choice is made from: a band, a pool, or
//     what pools leave of a band.
//   - Transaction commits or reverts allocations in several ranges at once.
//   - Services knows who holds each number, which are claimed by requests that
//     are under way, which are reserved, and which pool has each.
//   - demands.go and the files beside it say what one Service asks for, on
//     create and on update, exactly as the API server's registry reads it.
//   - Services.Plan joins the two: explicit numbers first, then reserved ones,
//     then automatic ones from the pools of the namespace.
//
// The webhook and the allocation controller call it. It never reads a clock,
// never blocks, and never lets two live Services take one number.
package allocator

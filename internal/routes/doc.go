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

// Package routes announces prefixes through a routing daemon that runs on the
// node anyway, BIRD 2 or FRR: it turns a set of prefixes into a snippet of the
// daemon's configuration and has the daemon take it, so that the routers around
// have a route of equal cost to each node.
//
//	prefixes.go          prefixes             -> those that may be announced, sorted
//	bird.go, frr.go      prefixes             -> text; pure
//	bird_daemon.go,
//	frr_daemon.go        text                 -> file -> the daemon's own command
//	announcer.go         changes, failures    -> when to tell the daemon
//
// What it promises:
//
//  1. The snippet is the daemon's whole knowledge of us: what is not wanted any
//     more goes, nothing else of its configuration is touched, and no session of
//     the daemon ends for a change.
//  2. A daemon that is away, hangs or refuses loses nothing: it is told again
//     until it has taken what is wanted by then.
//  3. A file that somebody else wrote is never overwritten.
//  4. Nothing is withdrawn because this program stops.
package routes

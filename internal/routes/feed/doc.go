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

// Package feed decides which prefixes this node announces by routes: it follows
// load-balancer addresses and Nodes and hands package routes all that is wanted
// whenever that has changed.
//
// Every node that may announce an address does, at equal cost: those that
// package announce calls Fit, or those of LastResort where there is no Fit one.
// It promises to say nothing before everything has been read and the node's rules
// have been written once, so that neither a start nor an API server that is away
// withdraws anything.
//
// Each agent follows all Nodes, whose statuses are written every five minutes: some
// events a second with a thousand nodes, and as many for each of them at the API
// server. That is the bound of this way of announcing.
package feed

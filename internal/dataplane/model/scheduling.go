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

package model

// Scheduler is how an endpoint is chosen for a new connection.
type Scheduler uint8

// The schedulers.
const (
	// Random chooses uniformly.
	Random Scheduler = iota
	// Maglev chooses by the client's address; every node that has the same
	// endpoints makes the same choice (Eisenbud et al., NSDI 2016).
	Maglev
	// Weighted chooses at random, in proportion to weights.
	Weighted
)

// AffinityScope is what remembers a client's endpoint.
type AffinityScope uint8

// The scopes of affinity.
const (
	// PerPort remembers it for each port of a Service, as Kubernetes does.
	PerPort AffinityScope = iota
	// PerService remembers it for all ports of a Service.
	PerService
)

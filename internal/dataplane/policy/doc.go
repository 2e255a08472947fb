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

// Package policy decides, for one node, which endpoints a ServicePort uses and
// how its traffic is treated: a pure function from package model's values to a
// Decision. It knows no kernel and no API; package ruleset turns Decisions
// into nftables elements.
//
//	decide.go      ServicePort, endpoints, Place -> Decision
//	selection.go   which endpoints are in a list, and why the others are not
//	stale.go       two Decisions -> conntrack entries that must go
//	health.go      what load balancers are told about local endpoints
package policy

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

// Package model holds what a node knows of Services and their endpoints, as
// plain values: Kubernetes objects go in, ServicePorts and Endpoints come out.
// It knows no kernel and takes no decisions; package policy does.
//
// A Store takes any object, however it got into the cluster: what can not be
// used is left out part by part and named in a Problem, everything else is
// used. Of two Services that want one destination the older has it. What it
// answers depends on what there is, not on what came first, and an event costs
// what its own Service is worth.
//
//	service*.go, slice.go, annotations.go   objects -> what they say
//	claims.go                               who owns a destination
//	merge.go                                the slices of a Service -> endpoints
//	reports.go                              Problems, each told once
package model

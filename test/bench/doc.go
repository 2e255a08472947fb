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

// Command bench compares switchyard-node with kube-proxy's nftables mode, side
// by side in one run, and prints what it measured beside the targets that
// Switchyard set itself.
//
// Both work against the same real API server, with the same objects in it, and
// each has a node to itself. Everything is inside network, PID and mount
// namespaces of the run's own, so that the kernel takes all of it away when the
// run ends, however it ends:
//
//	control   etcd, kube-apiserver, this program
//	   |
//	  node    the proxy under test, alone; forwards
//	 /    \
//	client  servers    every endpoint's address is answered by one server
//
// Before that it measures the admission webhooks of switchyard-manager, with an
// API server of their own, which is asked the same without them (admission.go),
// its endpoint controllers beside kube-controller-manager's (endpoints.go), and
// switchyard-dns beside CoreDNS (dns.go).
//
// What each figure means is said in the type it is kept in (results.go,
// admission_results.go, endpoints_results.go, dns_results.go), and how it is taken on
// the page that is written (page.md.tmpl and those of its sections). Nothing here
// fails because a figure is bad: a target that was missed is reported as missed.
package main

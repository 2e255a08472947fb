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

// Package discovery says which DNS records a cluster's Services have: version
// 1.1.0 of Kubernetes' DNS-based service discovery, and where that leaves
// something open, what CoreDNS's kubernetes plugin answers (docs/dns.md has the
// differences). It knows no network and no client.
//
//	Records   a Service and its slices -> every record, as text; `switchyard records`
//	Index     the same of a whole cluster, kept small, for a DNS server:
//	          objects go in one by one, Lookup and Reverse answer
//
// The two are written apart, and a test compares them over random worlds.
//
// An Index keeps an entry per Service, which is replaced as a whole when the
// Service or one of its slices changes; who is reading it meanwhile goes on
// with the old one. Nothing of another Service is touched.
package discovery

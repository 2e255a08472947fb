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

// Package plugin answers DNS queries about Services inside a CoreDNS server. It
// takes the place of CoreDNS's kubernetes plugin: its directive, "switchyard",
// takes the same options, and docs/dns.md says where its answers differ.
//
// Objects come from the API server one by one (package follow) and go into a
// discovery.Index, from which queries are answered. While the API server is
// away, answers stay as they were last.
//
//	setup.go, options.go   the directive and its options
//	watch.go, metrics.go   the API server -> the index
//	handler.go             a query -> an answer of the index
//	records.go             that answer -> DNS records
//	chase.go, self.go      ExternalNames; the server's own names
package plugin

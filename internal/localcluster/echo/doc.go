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

// Package echo is the server that stands in for a container's image in the
// local cluster. It answers on the container's declared ports, TCP, UDP and
// SCTP, with who answered and whom it saw as its client, which is what one
// wants to know about a Service:
//
//   - TCP: a connection that begins with an HTTP request is served as HTTP.
//     Any other line is answered with one line of JSON (Reply); so is a client
//     that says nothing for a second or closes its half, as `nc` does.
//   - UDP: each datagram is answered with one line of JSON.
//   - SCTP: each message is answered with one line of JSON. The protocol is
//     spoken over raw IP by package sctp, because kernels often lack it.
//
// HTTP paths: /hostname (the pod's name), /clientip (the client's IP:port),
// /ready and /readyz (200 or 503, changed by /ready?set=false and
// /ready?set=true), /healthz and /livez (likewise); every other path answers
// with the Reply, as text, or as JSON for ?format=json or an Accept header
// that asks for it.
//
// The server is called by the node runner, lives in the network namespace it
// was started for and holds no state but the two switches. Everything it reads
// is bounded; it never dials anyone.
package echo

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

// Package sctp speaks as much of SCTP (RFC 9260) as one association between
// two single-homed hosts needs, over raw IP sockets of protocol 132: for
// kernels that have no SCTP sockets but translate its packets all the same.
//
//	INIT ->            a cookie signed with HMAC-SHA256 holds all that the
//	<- INIT ACK        server knows, so an INIT costs it no memory
//	COOKIE ECHO ->
//	<- COOKIE ACK
//	DATA -> <- SACK    messages in order, fragments put together
//	<- HEARTBEAT ->    every 30 s, which also keeps conntrack's entry alive
//	SHUTDOWN ->  <- SHUTDOWN ACK  SHUTDOWN COMPLETE ->
//
// Left out, as an echo needs none of it: several addresses per host, gap
// reports (a packet out of order is dropped and sent again), congestion
// control beyond one small window, and extensions.
//
// packet.go and association.go are pure: bytes and times in, packets out.
// stack.go (servers) and dial.go (clients) own the sockets. A packet whose
// CRC32c is wrong is dropped, so that an answer proves that address
// translation rewrote the checksum in both directions.
package sctp

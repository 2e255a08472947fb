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

// Package placeholder makes the objects that hold a reserved number while no
// Service does, so that the API server refuses it to everybody by itself, also
// when none of our webhooks answers:
//
//	a ClusterIP of a ServiceCIDR  -> an IPAddress of that name whose parentRef is the AddressReservation
//	a port of the node            -> a Service of type NodePort that has no selector and only this port
//
// The API server's allocator takes an IPAddress as taken whatever its parentRef
// (KEP-1880), and its repair leaves those alone that it does not manage. Ports
// have no such object; a Service that has it is the only way to reserve one in the
// server's own range, at the price of a ClusterIP, which Keeper.SpareAddr chooses
// so that it is in nobody's way. The label
// service.kubernetes.io/service-proxy-name has every proxy pass it over, so nothing
// answers on the port.
//
// The functions are pure; Keeper compares, writes and reports. The reservation
// controllers hold, the mutating webhook releases for the rightful Service. Both
// may run in several replicas at once. An object that is not labelled as ours is
// never written or deleted, and nothing here decides who gets a number.
package placeholder

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

// Package nfnl speaks nfnetlink, the kernel's netlink family for nftables and
// conntrack: attributes, transactions, requests and dumps. It knows nothing of
// rules or connections.
//
// It exists because the libraries lack what we need of a transaction: socket
// buffers that take 100,000 elements at once, the error of the very message
// that failed, a rehearsal that is never committed, and a retry when a dump
// was overtaken by a change.
package nfnl

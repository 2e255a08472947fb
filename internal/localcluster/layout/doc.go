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

// Package layout decides how a local cluster's network is numbered: which
// addresses the nodes, their pods, the Services and the world outside have. It
// is a pure function of the number of nodes and the zones, so that two
// clusters of one shape are alike.
//
//	outside (172.30.0.1) --- bridge --- node-1 (172.30.0.11) --- pods 10.244.1.0/24
//	                             |
//	                             +----- node-2 (172.30.0.12) --- pods 10.244.2.0/24
//
// IPv6 follows the same pattern: fd00:172:30::11, fd00:10:244:1::/64.
package layout

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

// Package chaos does to a node what operators, kernels and networks do to it,
// under constant traffic: a connection to a Service that had a ready endpoint
// all along may not fail, and one to a living endpoint may not break. It holds
// tests only. -each=1m makes every disturbance last that long.
//
// Clocks: no test sets the machine's. The agent measures time by the monotonic
// clock, which never jumps while a program runs, and keeps none of its readings;
// affinity and conntrack count by a clock of the kernel's. A restart in a time
// namespace, up to a thousand days ahead, shows that nothing which is adopted
// hangs on it. The wall clock says when others wrote something, for a metric:
// slices are stamped up to a day wrong in every test here. It also says whether
// the API server's certificate and a token are valid: a clock far off looks like
// an API server that is away, which is tested as that.
package chaos

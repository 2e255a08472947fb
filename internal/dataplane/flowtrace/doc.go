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

// Package flowtrace asks the kernel what it does with the packets of one flow:
// which chains of which tables they cross, which rules matched, and how it
// ends. It is the confirmation behind `switchyard trace --live`, where package
// explain says what should happen.
//
// It marks the flow in a table of its own, which the kernel removes with the
// process, and reads nftables' trace events. It changes no packet and none of
// anybody's rules.
package flowtrace

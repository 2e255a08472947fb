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

// Package install installs each of config/overlays and the DNS server on a stock
// cluster, as an operator would: kubectl applies dist/install-*.yaml, and the programs
// run in pods from the project's own image, with the arguments, accounts, roles and
// webhooks of these manifests and no other rights. Then every check of `make demo` has
// to pass: what needs no option on the manifests as they are shipped, and the rest with
// the options of a cluster of our own. No program may have been refused anything or
// have begun anew, and what each account may do is compared with testdata (-update
// writes it anew).
package install

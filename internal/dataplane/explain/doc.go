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

// Package explain says what becomes of a connection and why, in words: who
// answers for its destination, which endpoints may get it, why the others may
// not, and whether they see the client's address. `switchyard trace` prints it.
//
// The reasons come from package policy, which decides for the agent, too. The
// outcome comes from walking the packet through the very rules and elements
// that package ruleset would program; Result.Doubt is set should the two ever
// differ. The package is pure: it reads no API and no kernel.
package explain

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

// Package render prints what a node's tables would hold for a set of objects,
// as nft text that the nft tool loads, without touching a kernel. It reads the
// objects from manifests and lets packages model, policy and ruleset do what
// they do in the agent; `switchyard-node render` prints the result.
//
// A start from nothing gives out ids in the order of names, so that equal
// objects always make equal text.
package render

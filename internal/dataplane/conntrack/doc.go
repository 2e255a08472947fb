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

// Package conntrack deletes the connection tracking entries that would keep
// sending a flow to a place it should no longer go: UDP flows to endpoints
// that are gone, and flows that began before their Service was programmed and
// have been passed through untranslated since.
//
// What is stale is decided elsewhere (package policy and the agent); this
// package lists, compares and deletes. It never touches an established TCP
// connection.
package conntrack

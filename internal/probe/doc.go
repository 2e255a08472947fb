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

// Package probe makes real connections and reports what came back: one request
// in, an answer per attempt out. `switchyard probe` runs it inside the network
// namespace of a pod or a node, and the demo and the end-to-end tests read its
// JSON. It takes no part in the product's own work.
package probe

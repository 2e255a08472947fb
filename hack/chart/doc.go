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

// Command chart makes the Helm chart of Switchyard from config/, so that both
// install the same. It builds config/overlays with and without each component,
// as `kustomize build` does, and says in templates where the results differ: what
// only one of them has stands in an {{ if }} on the value that chooses it. A table
// (see values) says which other places of the manifests are values, too. Defaults
// are read from the manifests. A place that config/ no longer has is an error, and so
// is an object that the table does not know what to do with: config/ and the chart
// can not part.
package main

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

// Package findings turns what an audit of numbers found into what an examination
// of one Service takes: in full for who may read the whole cluster (`switchyard
// why`), and without names of other namespaces for a Service's status, which the
// users of its namespace read. It reads and writes nothing.
package findings

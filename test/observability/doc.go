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

// Package observability holds alerts and dashboard to what the programs serve: every
// expression parses by Prometheus's own parser and asks for metrics and labels that
// docs/metrics.md has (which test/metrics compares with the registries), of our own
// programs where others have the same ones; every alert has its runbook, and fires in
// a case that is written down and not in another.
//
// It is a module of its own because Prometheus brings more than the product has.
package observability

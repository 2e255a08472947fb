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

// Package docs holds the manual to what it says. Every fenced block of README.md,
// CONTRIBUTING.md and docs/ that has commands is run, page by page, on a local
// cluster, and what it prints is compared with what the page shows, or by the test
// that it names, which takes it from the page (package page); commands and flags
// that are only named have to exist, and those that exist to be named, links and
// anchors have to lead somewhere, and every page has to be reachable from
// docs/README.md.
// CONTRIBUTING.md has the convention that pages are written to.
package docs

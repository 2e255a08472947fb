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

// Package reservations tests what keeps numbers while nobody uses them, against
// a real API server: what the server itself does with objects that stand for
// numbers, and the controllers that make and take away such objects. No webhook
// is installed, unless a spec says so: what is held is held without one.
package reservations

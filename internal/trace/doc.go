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

// Package trace answers `switchyard trace`: it reads a cluster's objects, finds
// what the user means (package lookup), asks package explain what becomes of
// the connection, and says so in words with a chance for each endpoint and
// advice. Live makes the connection, follows it through the kernel (package
// flowtrace) and compares.
//
// It writes nothing but flowtrace's marks and opens no connection but the one
// that it was asked for.
package trace

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

// Package why reads a cluster for the question why a Service does not answer,
// and prints what internal/diagnosis finds. It is what `switchyard why` does
// beyond its flags.
//
// It reads as little as it can, side by side, and as whoever asks: what may not
// be read, or is not served, is said in the report, with what is not known for
// it. It never writes, and never makes the Service's traffic.
package why

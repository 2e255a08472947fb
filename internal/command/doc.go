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

// Package command is the frame of the programs that run in a cluster: what they
// say and return when their command line is wrong or they fail, and how they end
// when they are told to. The programs' own packages hold the flags and the work;
// the command line for people, cmd/switchyard, has a frame of its own, as its
// commands end with codes of their own.
package command

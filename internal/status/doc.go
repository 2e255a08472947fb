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

// Package status says how Switchyard does in a cluster: what runs and in which
// version, how far each node's agent is, what the API server knows of the webhooks,
// which pools are nearly full, and what of it somebody has to look after.
//
// Asker reads a cluster into Facts; Facts.Report is a pure function of them and the
// time. Nothing is changed in the cluster. What can not be read is named, and keeps
// nothing else from being told.
package status

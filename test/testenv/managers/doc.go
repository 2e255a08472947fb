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

// Package managers runs the real switchyard-manager, as processes, against the
// API server of envtest, as config/local installs it: with its own account and
// roles, its own certificate, and the webhook configurations that are shipped.
//
// The one thing that differs is how the API server reaches the webhooks. Nothing
// serves ClusterIPs there, so the webhook's Service is an ExternalName that leads
// to a port of this machine: the manager's own, or that of a Front.
package managers

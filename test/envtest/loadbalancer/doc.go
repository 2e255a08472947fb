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

// Package loadbalancer checks which addresses Services of type LoadBalancer get,
// against a real API server, with managers that are stopped, killed and made to
// fail. Throughout, a history of all Services is kept: at no moment may an address
// be in the status of two of them that do not share it.
package loadbalancer

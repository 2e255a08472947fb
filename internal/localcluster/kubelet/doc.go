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

// Package kubelet serves the part of the kubelet's API that the API server
// needs for `kubectl logs`, `exec`, `attach` and `port-forward`:
//
//	/containerLogs/{namespace}/{pod}/{container}
//	/exec, /attach/{namespace}/{pod}[/{uid}]/{container}
//	/portForward/{namespace}/{pod}[/{uid}]
//	/pods, /healthz
//
// Streams are those of k8s.io/cri-streaming: SPDY, and WebSockets of the
// channel protocols. kubectl's own WebSockets end at the API server, which
// speaks SPDY to nodes that do not declare otherwise.
//
// Only a client certificate of the cluster's CA for system:masters or
// kube-apiserver-kubelet-client is let in. The package decides nothing about
// Pods: all of it is behind Runtime.
package kubelet

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

// Command controlplane is one program for every part of a Kubernetes control
// plane that envtest and a local cluster need: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, kubectl, and kube-proxy as the peer
// for benchmarks. It holds no code of its own beyond the dispatch by name: the
// components are the stock ones, built from their Go modules, so that nothing
// but the Go module proxy is needed to have them.
//
// It is a module of its own because k8s.io/kubernetes needs a replace for each
// of its staging modules, which must not leak into the product's module.
package main

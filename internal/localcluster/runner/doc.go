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

// Package runner plays kubelet for one node of the local cluster. It registers
// the Node, gives each of its Pods a network namespace with addresses, runs
// its containers, probes them, reports status and serves the kubelet API.
//
// A container is one of three kinds. If the node has its image (package image),
// the image's program is run in a root of its own, with the user, groups,
// capabilities and mounts that the manifest says. With the annotation RunLocal on
// the Pod, its command is run as a program of this machine instead, with its
// rights, in a mount namespace that has the Pod's /etc/resolv.conf, /etc/hosts
// and, in place of /run, a directory of its own. Any other is an echo server
// (package echo) on its declared ports. Programs have volumes, which follow the
// objects they are made of, and are in the Pod's network namespace.
//
// Desired state is what the API says now: each Pod has one worker that
// compares and acts; plan.go (what to start), status.go, probe.go, env*.go,
// files.go, addresses.go, security.go, capabilities.go and payload.go are pure,
// the rest is thin. A runner that stops takes its Pods' namespaces with it, and
// one that starts builds them again with the same addresses: echo containers go
// on as if nothing had been, programs count as killed and follow their
// restartPolicy.
//
// It never touches a namespace but the node's and the Pods', and never reaps a
// process that it did not start.
//
// Programs are started by running this executable again, so main (and
// TestMain) must call MaybeChild first.
package runner

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

package plugin

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"switchyard.dev/switchyard/internal/discovery"
	"switchyard.dev/switchyard/internal/follow"
)

// What `pods verified` watches is left to who asks for it (docs/dns.md).
//
// +kubebuilder:rbac:groups="",resources=services,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list;watch

// running are the pods that have addresses of their own or will have.
const running = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown"

// follow begins to fill the index.
func (h *Handler) follow(ctx context.Context) {
	for _, source := range h.sources {
		go source.Run(ctx)
	}
}

func (h *Handler) resources(client kubernetes.Interface) []follow.Source {
	everywhere := metav1.NamespaceAll
	matching := metav1.ListOptions{LabelSelector: h.labels}
	sources := []follow.Source{
		follow.New(client, "Namespaces", client.CoreV1().Namespaces(), metav1.ListOptions{LabelSelector: h.namespaceLabel},
			func(ns *corev1.Namespace) { h.setNamespace(ns.Name) },
			func(_, name string) { h.index.DeleteNamespace(name) }),
		follow.New(client, "Services", client.CoreV1().Services(everywhere), matching, h.index.SetService, h.index.DeleteService),
	}
	if !h.withoutSlices {
		sources = append(sources, follow.New(client, "EndpointSlices", client.DiscoveryV1().EndpointSlices(everywhere), matching,
			func(eps *discoveryv1.EndpointSlice) { h.setSlice(eps) }, h.index.DeleteSlice))
	}
	if h.Pods == discovery.PodsVerified {
		filter := metav1.ListOptions{LabelSelector: h.labels, FieldSelector: running}
		sources = append(sources, follow.New(client, "Pods", client.CoreV1().Pods(everywhere), filter, h.index.SetPod, h.index.DeletePod))
	}
	return sources
}

func (h *Handler) setNamespace(name string) {
	if len(h.namespaces) == 0 || h.namespaces[name] {
		h.index.SetNamespace(name)
	}
}

func (h *Handler) setSlice(eps *discoveryv1.EndpointSlice) {
	if h.index.SetSlice(eps) {
		h.latency.observe(eps, h.index)
	}
}

// Ready is true when what clients get is right: as long as a new configuration is
// not what answers, that is for the one until now to say.
func (h *Handler) Ready() bool {
	if h.full() {
		return true
	}
	before := h.before.Load()
	return before != nil && !slices.ContainsFunc(*before, func(b *Handler) bool { return !b.Ready() })
}

// full is true when everything that exists has been seen once.
func (h *Handler) full() bool {
	return len(h.sources) > 0 && !slices.ContainsFunc(h.sources, func(s follow.Source) bool { return !s.Full() })
}

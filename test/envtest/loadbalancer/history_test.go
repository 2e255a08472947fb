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

package loadbalancer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// history follows all Services in the order in which they change, and notes each
// moment at which an address was in the status of two without their consent.
type history struct {
	mu       sync.Mutex
	services map[types.NamespacedName]*corev1.Service
	found    []string
	changes  int // of addresses in a status
}

func watchHistory() *history {
	GinkgoHelper()
	h := &history{services: map[types.NamespacedName]*corev1.Service{}}
	ctx, cancel := context.WithCancel(context.Background())
	watching, err := client.NewWithWatch(server.Config, client.Options{Scheme: admin.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	var services corev1.ServiceList
	Expect(admin.List(ctx, &services)).To(Succeed())
	version := services.ResourceVersion
	watcher, err := watching.Watch(ctx, &services, &client.ListOptions{Raw: rawFrom(version)})
	Expect(err).NotTo(HaveOccurred())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for event := range watcher.ResultChan() {
			if service, ok := event.Object.(*corev1.Service); ok {
				h.take(event.Type, service)
			} else {
				h.wrong(fmt.Sprintf("the watch of the test says %v", event.Object))
			}
		}
	}()
	DeferCleanup(func() {
		cancel()
		watcher.Stop()
		<-ended
	})
	return h
}

func (h *history) take(kind watch.EventType, service *corev1.Service) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := client.ObjectKeyFromObject(service)
	before := ingressOf(h.services[key])
	if kind == watch.Deleted {
		delete(h.services, key)
		return
	}
	h.services[key] = service
	ours := service.Spec.LoadBalancerClass != nil && *service.Spec.LoadBalancerClass == class
	if slices.Equal(before, ingressOf(service)) || !ours {
		return
	}
	h.changes++
	for other, object := range h.services {
		if other == key {
			continue
		}
		for _, addr := range ingressOf(service) {
			if slices.Contains(ingressOf(object), addr) && !mayShare(service, object) {
				h.found = append(h.found, fmt.Sprintf("%s: %s and %s (version %s)", addr, key, other, service.ResourceVersion))
			}
		}
	}
}

func (h *history) wrong(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.found = append(h.found, what)
}

func (h *history) wrongs() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.found)
}

// moved counts the changes of addresses in statuses.
func (h *history) moved() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changes
}

func ingressOf(service *corev1.Service) []string {
	if service == nil {
		return nil
	}
	var addrs []string
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		addrs = append(addrs, ingress.IP)
	}
	return addrs
}

// mayShare is what the documentation says of sharing, in few words.
func mayShare(a, b *corev1.Service) bool {
	key := a.Annotations[v1alpha1.SharingKeyAnnotation]
	names := func(x, y *corev1.Service) bool {
		return slices.Contains(strings.Split(x.Annotations[v1alpha1.SharingNamespacesAnnotation], ","), y.Namespace)
	}
	consent := a.Namespace == b.Namespace || names(a, b) && names(b, a)
	disjoint := !slices.ContainsFunc(a.Spec.Ports, func(p corev1.ServicePort) bool {
		return slices.ContainsFunc(b.Spec.Ports, func(q corev1.ServicePort) bool { return p.Port == q.Port && p.Protocol == q.Protocol })
	})
	return key != "" && key == b.Annotations[v1alpha1.SharingKeyAnnotation] && consent && disjoint
}

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

package managers

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// books are what the clients were told.
type books struct {
	mu      sync.Mutex
	holders map[int32]string // a port, and the Service that has it
	answers map[string]int
	wrong   []string
}

func newBooks() *books { return &books{holders: map[int32]string{}, answers: map[string]int{}} }

// A client may see refusals of ours, and the API server's own, which it makes where
// no manager answered or none had seen the holder yet, and of numbers that a manager
// chose while the server drew them for a request that no manager answered.
var (
	takenByOurs   = regexp.MustCompile(`held by|reserved for|no number is free in`)
	takenByServer = regexp.MustCompile(`provided (port|IP) is already allocated|range is full`)
)

// answered counts an answer, and says whether it was yes.
func (b *books) answered(what string, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil:
		b.answers[what]++
	case takenByOurs.MatchString(err.Error()):
		b.answers[what+" refused by a manager"]++
	case takenByServer.MatchString(err.Error()):
		b.answers[what+" refused by the server"]++
	default:
		b.wrong = append(b.wrong, fmt.Sprintf("%s: %v", what, err))
	}
	return err == nil
}

// gives books ports to a Service.
func (b *books) gives(service string, ports []int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, port := range ports {
		if holder := b.holders[port]; holder != "" && holder != service {
			b.wrong = append(b.wrong, fmt.Sprintf("port %d was given to %s while %s had it", port, service, holder))
		}
		b.holders[port] = service
	}
}

// takes comes before the request that gives ports up: from then on somebody else
// may be told first that they are his.
func (b *books) takes(service string, ports []int32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, port := range ports {
		if b.holders[port] == service {
			delete(b.holders, port)
		}
	}
}

// differences are those between what clients were told and what there is.
func (b *books) differences(services []corev1.Service) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	wrong := slices.Clone(b.wrong)
	found := map[int32]string{}
	for i := range services {
		for _, port := range portsOf(&services[i]) {
			if found[port] != "" {
				wrong = append(wrong, fmt.Sprintf("port %d is of %s and of %s", port, found[port], services[i].Name))
			}
			found[port] = services[i].Name
		}
	}
	if !maps.Equal(found, b.holders) {
		wrong = append(wrong, fmt.Sprintf("the API server has %v, the clients were told %v", found, b.holders))
	}
	return wrong
}

func (b *books) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	total, lines := 0, []string{}
	for _, what := range slices.Sorted(maps.Keys(b.answers)) {
		lines = append(lines, fmt.Sprintf("%6d %s", b.answers[what], what))
		total += b.answers[what]
	}
	return strings.Join(append(lines, fmt.Sprintf("%6d requests", total)), "\n")
}

// tenant is one client with a few Services.
type tenant struct {
	api    client.Client
	books  *books
	ports  allocator.PortSpan
	random *rand.Rand
	name   string
	made   int
	alive  []*corev1.Service
}

// live makes requests until ctx ends. One under way is waited for: what came of it
// is to be in the books.
func (c *tenant) live(ctx context.Context) {
	for step := 0; ctx.Err() == nil; step++ {
		switch whole := context.WithoutCancel(ctx); {
		case len(c.alive) < 3:
			c.create(whole)
		case step%3 == 0:
			c.update(whole)
		default:
			c.delete(whole)
		}
	}
}

func (c *tenant) create(ctx context.Context) {
	c.made++
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprintf("%s-%d", c.name, c.made)},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Name: "a", Port: 80}}},
	}
	kind := "automatic"
	switch c.random.IntN(4) {
	case 0:
		kind, service.Spec.Ports[0].NodePort = "explicit", c.anyPort()
	case 1:
		kind, service.Spec.Ports = "mixed", append(service.Spec.Ports, corev1.ServicePort{Name: "b", Port: 81, NodePort: c.anyPort()})
	}
	if c.books.answered("create, "+kind, c.api.Create(ctx, service)) {
		c.books.gives(service.Name, portsOf(service))
		c.alive = append(c.alive, service)
	}
}

// update moves the first port to another number.
func (c *tenant) update(ctx context.Context) {
	i := c.random.IntN(len(c.alive))
	before, service := c.alive[i], c.alive[i].DeepCopy()
	port := c.anyPort()
	if slices.Contains(portsOf(before), port) {
		return
	}
	service.Spec.Ports[0].NodePort = port
	c.books.takes(before.Name, portsOf(before))
	if !c.books.answered("update", c.api.Update(ctx, service)) {
		c.books.gives(before.Name, portsOf(before))
		return
	}
	c.books.gives(service.Name, portsOf(service))
	c.alive[i] = service
}

func (c *tenant) delete(ctx context.Context) {
	service := c.alive[0]
	c.books.takes(service.Name, portsOf(service))
	if c.books.answered("delete", c.api.Delete(ctx, service)) {
		c.alive = c.alive[1:]
	}
}

func (c *tenant) anyPort() int32 {
	return c.ports.First + c.random.Int32N(c.ports.Last-c.ports.First+1)
}

func portsOf(service *corev1.Service) []int32 {
	var ports []int32
	for _, port := range service.Spec.Ports {
		if port.NodePort != 0 {
			ports = append(ports, port.NodePort)
		}
	}
	return ports
}

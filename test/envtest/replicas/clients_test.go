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

package replicas

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// tenant is one client with a few Services of its own.
type tenant struct {
	api    client.Client
	ledger *ledger
	tally  *tally
	ports  allocator.PortSpan
	random *rand.Rand
	name   string
	made   int
	alive  []*corev1.Service
}

// mostPorts is how many ports a client has at most.
const mostPorts = 4

// step does one random thing.
func (c *tenant) step(ctx context.Context) {
	has := 0
	for _, service := range c.alive {
		has += len(portsOf(service))
	}
	switch n := c.random.IntN(10); {
	case has == 0, has < mostPorts && n < 6:
		c.create(ctx)
	case n < 8 && len(c.alive) > 0:
		c.update(ctx)
	default:
		c.delete(ctx)
	}
}

func (c *tenant) create(ctx context.Context) {
	c.made++
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("%s-%d", c.name, c.made)},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Name: "a", Port: 80}}},
	}
	switch c.random.IntN(6) {
	case 0: // this one
		service.Spec.Ports[0].NodePort = c.anyPort()
	case 1: // any number, and this one
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: "b", Port: 81, NodePort: c.anyPort()})
	default: // any number
	}
	asked := portsOf(service)
	ctx, heard := listen(ctx)
	this := answer{service.Name, asked, time.Now(), heard}
	err := c.api.Create(ctx, service)
	c.ledger.tried(service.Name, this.sent)
	if c.tally.count("create", err, this); err == nil {
		c.ledger.got(this, portsOf(service)...)
		c.alive = append(c.alive, service)
	}
}

// update moves a port to another number, adds one, or takes one away.
func (c *tenant) update(ctx context.Context) {
	i := c.random.IntN(len(c.alive))
	before := c.alive[i]
	service := before.DeepCopy()
	switch n := c.random.IntN(4); {
	case n == 0:
		service.Spec.Ports[0].NodePort = c.anyPort()
		if slices.Contains(portsOf(before), service.Spec.Ports[0].NodePort) {
			return // two rows of one Service can not have one port
		}
	case len(service.Spec.Ports) == 1:
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: "b", Port: 81})
	default:
		service.Spec.Ports = service.Spec.Ports[:1]
	}
	asked := portsOf(service)
	given := slices.DeleteFunc(portsOf(before), func(port int32) bool { return slices.Contains(asked, port) })
	asked = slices.DeleteFunc(asked, func(port int32) bool { return slices.Contains(portsOf(before), port) })
	c.ledger.givingUp(service.Name, given...)
	ctx, heard := listen(ctx)
	this := answer{service.Name, asked, time.Now(), heard}
	err := c.api.Update(ctx, service)
	c.ledger.tried(service.Name, this.sent)
	c.tally.count("update", err, this)
	if err != nil {
		c.ledger.keeps(service.Name, given...)
		return
	}
	c.ledger.gaveUp(service.Name, given...)
	c.ledger.got(this, portsOf(service)...)
	c.alive[i] = service
}

func (c *tenant) delete(ctx context.Context) {
	if len(c.alive) == 0 {
		return
	}
	i := c.random.IntN(len(c.alive))
	service := c.alive[i]
	c.ledger.givingUp(service.Name, portsOf(service)...)
	err := c.api.Delete(ctx, service)
	c.tally.count("delete", err, answer{})
	if err != nil {
		return
	}
	c.ledger.gaveUp(service.Name, portsOf(service)...)
	c.alive = slices.Delete(c.alive, i, i+1)
}

func (c *tenant) anyPort() int32 {
	return c.ports.First + c.random.Int32N(c.ports.Last-c.ports.First+1)
}

// portsOf are the node ports of a Service.
func portsOf(service *corev1.Service) []int32 {
	all := map[int32]bool{}
	for _, port := range service.Spec.Ports {
		if port.NodePort != 0 {
			all[port.NodePort] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

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
	"regexp"
	"slices"
	"strings"
	"sync"
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
	sent := time.Now()
	err := c.api.Create(ctx, service)
	c.ledger.tried(service.Name, sent)
	if c.tally.count("create", err, asked, sent); err == nil {
		c.ledger.got(service.Name, sent, portsOf(service)...)
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
	case len(service.Spec.Ports) == 1:
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{Name: "b", Port: 81})
	default:
		service.Spec.Ports = service.Spec.Ports[:1]
	}
	asked := portsOf(service)
	given := slices.DeleteFunc(portsOf(before), func(port int32) bool { return slices.Contains(asked, port) })
	c.ledger.givingUp(service.Name, given...)
	sent := time.Now()
	err := c.api.Update(ctx, service)
	c.ledger.tried(service.Name, sent)
	c.tally.count("update", err, slices.DeleteFunc(asked, func(port int32) bool { return slices.Contains(portsOf(before), port) }), sent)
	if err != nil {
		c.ledger.got(service.Name, sent, given...) // they stay
		return
	}
	c.ledger.gaveUp(service.Name, given...)
	c.ledger.got(service.Name, sent, portsOf(service)...)
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
	c.tally.count("delete", err, nil, time.Now())
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

// tally counts answers by kind, and keeps those that nobody should get.
type tally struct {
	ledger *ledger

	mu     sync.Mutex
	counts map[string]int
	wrong  []string
	// claims are answers that name a holder, to be judged when all is known.
	claims []claim
}

type claim struct {
	port     int32
	service  string // empty where the answer does not say
	from, to time.Time
	text     string
}

// namesHolder also reads the answer to somebody whose rights could not be asked
// for, because the replica died: it has no name.
var namesHolder = regexp.MustCompile(`Invalid value: (\d+): held by (?:Service default/([a-z0-9-]+)|another Service of this namespace);`)

func (t *tally) count(what string, err error, asked []int32, sent time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.counts[what+" done"]++
		return
	}
	text := err.Error()
	matches := namesHolder.FindAllStringSubmatch(text, -1)
	switch {
	case len(matches) > 0:
		t.counts[what+" refused: held by"]++
		for _, match := range matches {
			var port int32
			_, _ = fmt.Sscan(match[1], &port)
			t.claims = append(t.claims, claim{port, match[2], sent, time.Now(), text})
		}
	case strings.Contains(text, "no number is free in") || strings.Contains(text, "range is full"):
		t.counts[what+" refused: full"]++
	case len(fromServer.FindStringSubmatch(text)) > 0:
		// Said by the server itself: while no replica answered, or before the
		// watch of one had shown it the holder.
		t.counts[what+" refused by the server: already allocated"]++
		var port int32
		_, _ = fmt.Sscan(fromServer.FindStringSubmatch(text)[1], &port)
		if !slices.Contains(asked, port) {
			// A replica has chosen what the server had given out by itself a moment
			// ago, or had not taken back yet: with few numbers left that happens.
			t.counts["(of these, of a number that a replica had chosen)"]++
		}
		t.claims = append(t.claims, claim{port, "", sent, time.Now(), text})
	case strings.Contains(text, "provided IP is already allocated"):
		// The same of an address: nobody here asks for one by value.
		t.counts[what+" refused by the server: already allocated"]++
		t.counts["(of these, of a number that a replica had chosen)"]++
	default:
		t.counts[what+" failed"]++
		t.wrong = append(t.wrong, text)
	}
}

var fromServer = regexp.MustCompile(`Invalid value: (\d+): provided port is already allocated`)

// verdict judges what could not be judged before all was known.
func (t *tally) verdict() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	wrong := t.wrong
	for _, c := range t.claims {
		switch t.ledger.judge(c) {
		case unknown:
			t.counts["(of these, about a number that a request under way may have had)"]++
		case untrue:
			wrong = append(wrong, fmt.Sprintf("not true of port %d: %s", c.port, c.text))
		}
	}
	return wrong
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	total := 0
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		lines = append(lines, fmt.Sprintf("%6d %s", t.counts[what], what))
		if !strings.HasPrefix(what, "(") {
			total += t.counts[what]
		}
	}
	return strings.Join(append(lines, fmt.Sprintf("%6d operations", total)), "\n")
}

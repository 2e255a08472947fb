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

package nft

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// BenchmarkOneEndpointFromEventToBytes is all that the agent computes when one
// endpoint of a Service changes, among so many Services of 10 endpoints: from
// the decoded slice to the bytes of the transaction. The kernel has no part.
func BenchmarkOneEndpointFromEventToBytes(b *testing.B) {
	for _, services := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(services), func(b *testing.B) {
			c := newChain(services)
			var slices []*discoveryv1.EndpointSlice
			for i := range 200 {
				slices = append(slices, chainSlice(i/2, i%2+1))
			}
			edits := 0
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				edits += c.take(slices[n%len(slices)])
			}
			b.ReportMetric(float64(edits)/float64(b.N), "edits/op")
		})
	}
}

// chain is the rooms between the API and the kernel.
type chain struct {
	store   *model.Store
	place   policy.Place
	planner ruleset.Planner
	writer  *writer
}

func newChain(services int) *chain {
	c := &chain{
		store: model.NewStore(model.Options{}), place: policy.Place{NodeName: "node-1"},
		writer: newWriter(ruleset.NewSchema(model.IPv4, policy.Features{})),
	}
	for i := range services {
		c.store.SetService(chainService(i))
		c.store.SetSlice(chainSlice(i, 0))
	}
	c.store.TakeDirty()
	c.planner.Sync(policy.Node{Family: model.IPv4}, policy.DecideAll(c.store, model.IPv4, c.place), nil)
	return c
}

// take returns how many edits it wrote.
func (c *chain) take(slice *discoveryv1.EndpointSlice) int {
	c.store.SetSlice(slice)
	var changed []policy.Decision
	for _, name := range c.store.TakeDirty() {
		port, _ := c.store.ServicePort(name)
		if d, ok := policy.Decide(port, c.store.Endpoints(name, model.IPv4), model.IPv4, c.place); ok {
			changed = append(changed, d)
		}
	}
	plan := c.planner.Apply(changed, nil)
	c.writer.Reset()
	c.writer.all(plan.Edits)
	return len(plan.Edits)
}

func chainService(i int) *corev1.Service {
	ip := fmt.Sprintf("10.96.%d.%d", i>>8, i&255)
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("s", i)},
		Spec: corev1.ServiceSpec{
			ClusterIP: ip, ClusterIPs: []string{ip}, Ports: []corev1.ServicePort{{Name: "http", Protocol: "TCP", Port: 80}},
		},
	}
}

// chainSlice is the one slice of Service i; of its ten endpoints the last one is
// another in each generation.
func chainSlice(i, generation int) *discoveryv1.EndpointSlice {
	eps := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: fmt.Sprint("s", i),
			Labels: map[string]string{discoveryv1.LabelServiceName: fmt.Sprint("s", i)},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(8080))}},
	}
	for e := range 10 {
		if e == 9 {
			e += generation
		}
		eps.Endpoints = append(eps.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.%d.%d.%d", 100+e, i>>8, i&255)}, NodeName: new(fmt.Sprint("node-", e)),
			Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
		})
	}
	return eps
}

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

package chaos

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const namespace = "default"

// service is a Service whose first endpoint is ready all along, while the
// others come and go.
type service struct {
	*corev1.Service
	slices []*discoveryv1.EndpointSlice // one per family
	ready  []int                        // which endpoints are ready
}

func (b *bed) newService(name string) *service {
	b.Helper()
	s := &service{Service: &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Type:           corev1.ServiceTypeNodePort,
			IPFamilyPolicy: new(corev1.IPFamilyPolicyRequireDualStack),
			Ports: []corev1.ServicePort{
				{Name: "tcp", Port: 80}, {Name: "udp", Port: 80, Protocol: corev1.ProtocolUDP},
			},
		},
	}}
	if name == "sticky" {
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
	}
	services := b.client.CoreV1().Services(namespace)
	s.Service = must(services.Create(b.Context(), s.Service, metav1.CreateOptions{}))(b.T)
	b.Cleanup(func() { _ = services.Delete(background, name, metav1.DeleteOptions{}) })
	s.ready = []int{0}
	api := b.client.DiscoveryV1().EndpointSlices(namespace)
	for _, f := range families {
		slice := must(api.Create(b.Context(), s.slice(f, nil), metav1.CreateOptions{}))(b.T)
		s.slices = append(s.slices, slice)
		b.Cleanup(func() { _ = api.Delete(background, slice.Name, metav1.DeleteOptions{}) })
	}
	return s
}

// slice is that of a family, with the ready endpoints and some that leave.
func (s *service) slice(f family, leaving []int) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.Name + "-" + f.keyword, Labels: map[string]string{discoveryv1.LabelServiceName: s.Name},
		},
		AddressType: f.addressType,
		Ports: []discoveryv1.EndpointPort{
			{Name: new("tcp"), Port: new(int32(endpointPort))},
			{Name: new("udp"), Port: new(int32(endpointPort)), Protocol: new(corev1.ProtocolUDP)},
		},
	}
	// The clock of who wrote it may be hours off; it is for a metric alone.
	wrong := time.Now().Add(rand.N(48*time.Hour) - 24*time.Hour)
	slice.Annotations = map[string]string{corev1.EndpointsLastChangeTriggerTime: wrong.UTC().Format(time.RFC3339Nano)}
	for _, i := range s.ready {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{f.endpoint(i).String()}, NodeName: new(nodeName)})
	}
	for _, i := range leaving {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{f.endpoint(i).String()}, NodeName: new(nodeName),
			Conditions: discoveryv1.EndpointConditions{Ready: new(false), Serving: new(true), Terminating: new(true)},
		})
	}
	return slice
}

// clusterIP of a family; families are in the order of the bed's.
func (s *service) clusterIP(f int) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(s.Spec.ClusterIPs[f]), 80)
}

func (s *service) nodePort(f int, network string) netip.AddrPort {
	port := s.Spec.Ports[0].NodePort
	if network == "udp" {
		port = s.Spec.Ports[1].NodePort
	}
	return netip.AddrPortFrom(families[f].node, uint16(port))
}

// churn changes endpoints until the returned function is called.
func (b *bed) churn() (stop func()) {
	var running sync.WaitGroup
	done := make(chan struct{})
	var changes atomic.Int64
	for _, s := range b.services {
		running.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(15 * time.Millisecond):
				}
				if err := b.change(s); err != nil {
					b.Errorf("changing endpoints: %v", err)
					return
				}
				changes.Add(1)
			}
		})
	}
	stop = sync.OnceFunc(func() {
		close(done)
		running.Wait()
		b.Logf("%d changes of endpoints", changes.Load())
	})
	b.Cleanup(stop) // where a test ends early, before its Services do
	return stop
}

// sizes lie on both sides of powers of two.
var sizes = []int{1, 2, 3, 4, 5, 8, 9, 16, 17}

func (b *bed) change(s *service) error {
	size := sizes[rand.IntN(len(sizes))]
	others := rand.Perm(endpointCount - 1)
	s.ready = []int{0}
	for _, i := range others[:size-1] {
		s.ready = append(s.ready, i+1)
	}
	leaving := []int{}
	for _, i := range others[size-1:] {
		if rand.IntN(2) == 0 {
			leaving = append(leaving, i+1)
		}
	}
	for i, f := range families {
		next := s.slice(f, leaving)
		next.ResourceVersion = s.slices[i].ResourceVersion
		updated, err := b.client.DiscoveryV1().EndpointSlices(namespace).Update(background, next, metav1.UpdateOptions{})
		if err != nil {
			return fmt.Errorf("updating %s: %w", next.Name, err)
		}
		s.slices[i] = updated
	}
	return nil
}

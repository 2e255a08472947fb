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
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rename gives the Service's ports other names, and those of its slices at other
// moments: the EndpointSlice controller writes them one by one, and watches may
// show the Service before, between or after them.
func (b *bed) rename(s *service, suffix string) {
	b.Helper()
	writes := []func(){func() {
		for i, name := range []string{"tcp", "udp"} {
			s.Spec.Ports[i].Name = name + suffix
		}
		s.Service = must(b.client.CoreV1().Services(namespace).Update(b.Context(), s.Service, metav1.UpdateOptions{}))(b.T)
	}}
	for i := range s.slices {
		writes = append(writes, func() {
			for j, name := range []string{"tcp", "udp"} {
				s.slices[i].Ports[j].Name = new(name + suffix)
			}
			s.slices[i] = must(b.client.DiscoveryV1().EndpointSlices(namespace).Update(b.Context(), s.slices[i], metav1.UpdateOptions{}))(b.T)
		})
	}
	rand.Shuffle(len(writes), func(i, j int) { writes[i], writes[j] = writes[j], writes[i] })
	for _, write := range writes {
		write()
		pause(50 * time.Millisecond)
	}
}

// divide makes all endpoints of the Service ready, in two slices per family.
func (b *bed) divide(s *service) {
	b.Helper()
	api := b.client.DiscoveryV1().EndpointSlices(namespace)
	s.ready = nil
	for i := range endpointCount {
		s.ready = append(s.ready, i)
	}
	for i, f := range families {
		whole := s.slice(f, nil)
		second := whole.DeepCopy()
		second.Name += "-more"
		whole.ResourceVersion = s.slices[i].ResourceVersion
		whole.Endpoints, second.Endpoints = whole.Endpoints[:endpointCount/2], second.Endpoints[endpointCount/2:]
		s.slices[i] = must(api.Update(b.Context(), whole, metav1.UpdateOptions{}))(b.T)
		s.slices = append(s.slices, must(api.Create(b.Context(), second, metav1.CreateOptions{}))(b.T))
		b.Cleanup(func() { _ = api.Delete(background, second.Name, metav1.DeleteOptions{}) })
	}
}

func TestARenamedPortLosesNothing(t *testing.T) {
	b := newBed(t)
	b.underRenames()
}

// Nothing may take the endpoints of slices that still have the other name for
// gone: their UDP flows would be deleted, and go on to other servers.
func TestARenamedPortOfSeveralSlicesMovesNoFlow(t *testing.T) {
	b := newBed(t)
	for _, s := range b.services {
		b.divide(s)
	}
	b.underRenames()
}

func (b *bed) underRenames() {
	b.Helper()
	b.startAgent(unprotected)
	b.awaitSync()
	toll, stop := b.traffic()
	times := 0
	for end := time.Now().Add(*each); time.Now().Before(end); {
		times++
		for _, s := range b.services {
			b.rename(s, fmt.Sprint("-", times))
			pause(100 * time.Millisecond)
		}
	}
	for _, s := range b.services {
		b.rename(s, "")
	}
	stop()
	b.Logf("%d renames; %s", times*len(b.services), toll)
	b.nothingLost(toll)
	if toll.moved.Load() > 0 {
		b.Errorf("%d flows went on to another server: %q", toll.moved.Load(), toll.examples(&toll.moved))
	}
	b.settled(unprotected)
}

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

// rename gives the Service's ports other names, and its slices at another
// moment, as the EndpointSlice controller does; watches may swap the two.
func (b *bed) rename(s *service, suffix string) {
	b.Helper()
	halves := []func(){
		func() {
			for i, name := range []string{"tcp", "udp"} {
				s.Spec.Ports[i].Name = name + suffix
			}
			s.Service = must(b.client.CoreV1().Services(namespace).Update(b.Context(), s.Service, metav1.UpdateOptions{}))(b.T)
		},
		func() {
			for i, f := range families {
				next := s.slice(f, nil)
				for j := range next.Ports {
					*next.Ports[j].Name += suffix
				}
				next.ResourceVersion = s.slices[i].ResourceVersion
				s.slices[i] = must(b.client.DiscoveryV1().EndpointSlices(namespace).Update(b.Context(), next, metav1.UpdateOptions{}))(b.T)
			}
		},
	}
	first := rand.IntN(2)
	halves[first]()
	pause(100 * time.Millisecond)
	halves[1-first]()
}

func TestARenamedPortLosesNothing(t *testing.T) {
	b := newBed(t)
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
	b.settled(unprotected)
}

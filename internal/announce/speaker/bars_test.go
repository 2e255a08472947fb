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

package speaker

import (
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/balancer"
)

func nodeWith(addresses ...string) *corev1.Node {
	node := &corev1.Node{}
	for _, a := range addresses {
		node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a})
	}
	return node
}

// To answer for it would take it from who has it, whoever wrote the Lease.
func TestWhatIsSomebodyElsesIsBarred(t *testing.T) {
	s, events := newSpeaker()
	s.holders[vip] = []balancer.Holder{{Service: types.NamespacedName{Namespace: "default", Name: "web"}}}
	anywhere := announce.PlaceOf([]announce.Service{{}})
	said := 0
	want := func(when, why string) {
		t.Helper()
		if got := s.barred[vip]; got != why || s.bars.why(vip) != why {
			t.Errorf("%s it is barred because %q, want %q", when, got, why)
		}
		if len(events) != said {
			t.Errorf("%s there are %d Events, want %d", when, len(events), said)
		}
	}
	s.place(vip, anywhere)
	want("at first", "")
	s.setNode("other", nodeWith("192.0.2.1", vip.String()))
	said++
	want("with a Node that has it", "it is an InternalIP of a Node")
	s.setNode("another", nodeWith(vip.String()))
	s.setNode("other", nodeWith("192.0.2.1"))
	want("with another that has it", "it is an InternalIP of a Node")
	s.setNode("another", nil)
	want("with none", "")
	s.local.Store(&map[netip.Addr]struct{}{vip: {}})
	s.useLocal()
	said++
	want("on an interface", "it is configured on an interface of this node")
	s.place(vip, anywhere)
	want("once more", "it is configured on an interface of this node")
	s.local.Store(&map[netip.Addr]struct{}{})
	s.useLocal()
	want("on none", "")
	if len(s.bars.nodes) != 1 || len(s.bars.counted) != 1 {
		t.Errorf("at the end it knows %v and %v", s.bars.nodes, s.bars.counted)
	}
}

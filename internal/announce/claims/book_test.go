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

package claims

import (
	"context"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/announce/election"
	"switchyard.dev/switchyard/internal/balancer"
	"switchyard.dev/switchyard/internal/dataplane/model"
)

// served are the Services that a node serves, by name.
type served map[string]announce.Service

func (s served) Balanced(_, name, uid string, _ netip.Addr) (announce.Service, bool) {
	found, ok := s[name]
	return found, ok && uid == "uid-of-"+name
}

var vip = netip.MustParseAddr("192.0.2.1")

func lease(version, holder string, services ...string) *coordinationv1.Lease {
	claim := balancer.Claim{Addr: vip}
	for _, s := range services {
		claim.Holders = append(claim.Holders, balancer.Holder{
			Service: types.NamespacedName{Namespace: "default", Name: s}, UID: types.UID("uid-of-" + s),
		})
	}
	l := balancer.LeaseOf("system", claim)
	l.ResourceVersion = version
	l.Spec.HolderIdentity, l.Spec.LeaseTransitions = &holder, new(int32(3))
	return l
}

func TestBook(t *testing.T) {
	here := announce.Service{Local: true, Nodes: map[string]struct{}{"here": {}}}
	b := New(nil, "system", served{"a": {}, "b": here})
	want := func(services ...announce.Service) {
		t.Helper()
		got := b.Take()
		if len(got) != 1 {
			t.Fatalf("%d addresses have changed, want one", len(got))
		}
		if diff := cmp.Diff(services, got[0].Services); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if c := (election.Claim{Addr: vip, Version: 7, Holder: "node-1", Term: 3}); !got[0].Gone && got[0].Claim != c {
			t.Errorf("the claim is %+v, want %+v", got[0].Claim, c)
		}
	}
	names := func(service string) []model.ServicePortName {
		return []model.ServicePortName{{Namespace: "default", Name: service}}
	}
	b.set(context.Background(), lease("7", "node-1", "a", "b", "c"))
	select {
	case <-b.Wake():
	default:
		t.Error("nobody is woken")
	}
	want(announce.Service{}, here)
	b.Changed(names("b"))
	want(announce.Service{}, here)
	b.Changed(names("z"))
	if got := b.Take(); len(got) > 0 {
		t.Errorf("%+v changed with a Service that has no address", got)
	}
	b.set(context.Background(), lease("7", "node-1", "a"))
	want(announce.Service{})
	b.Changed(names("b"))
	if got := b.Take(); len(got) > 0 {
		t.Errorf("%+v changed with a Service that has let go of it", got)
	}
	broken := lease("8", "node-1", "a")
	broken.Annotations[balancer.ServicesAnnotation] = "?"
	b.set(context.Background(), broken)
	if got := b.Take(); len(got) != 1 || !got[0].Gone || got[0].Claim.Addr != vip {
		t.Errorf("after its Lease can not be read: %+v, want it gone", got)
	}
	if len(b.of)+len(b.held) > 0 {
		t.Errorf("it still holds %v and %v", b.of, b.held)
	}
}

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

package balancer

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestClaimsAreLeases(t *testing.T) {
	a, b := svc("a", sharing("k", 80)), svc("red/b", sharing("k", 81))
	for name, tc := range map[string]struct {
		claim            Claim
		want, family, by string
	}{
		"one Service": {claim("192.0.2.1", a), "lb-192.0.2.1", "IPv4", "default/a a"},
		"two that share": {claim("2001:db8::1", a, b), "lb-2001-0db8-0000-0000-0000-0000-0000-0001", "IPv6",
			"default/a a " + a.terms() + ",red/b red/b " + b.terms()},
		"nobody":          {claim("192.0.2.1"), "lb-192.0.2.1", "IPv4", ""},
		"one that leaves": {Claim{Addr: netip.MustParseAddr("192.0.2.1"), Leaving: claim("192.0.2.1", a).Holders}, "lb-192.0.2.1", "IPv4", ""},
	} {
		t.Run(name, func(t *testing.T) {
			lease := LeaseOf("system", tc.claim)
			expect(t, "the Lease", lease.Namespace+" "+lease.Name+" "+lease.Labels[AddressLabel], "system "+tc.want+" "+tc.family)
			expect(t, "its Services", lease.Annotations[ServicesAnnotation], tc.by)
			back, err := ClaimOf(lease)
			if diff := cmp.Diff(tc.claim, back, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
				t.Errorf("%v (-written +read)\n%s", err, diff)
			}
		})
	}
}

func TestLeasesThatAreNoClaims(t *testing.T) {
	for name, tc := range map[string]struct{ name, services string }{
		"of a node":          {"speaker-node-1", ""},
		"of a port":          {"lb-30080", ""},
		"without the prefix": {"192.0.2.1", ""},
		"an IPv6 address that is not written out": {"lb-2001-db8--1", ""},
		"no namespace":                    {"lb-192.0.2.1", "web 1"},
		"no UID":                          {"lb-192.0.2.1", "shop/web"},
		"an empty UID":                    {"lb-192.0.2.1", "shop/web  terms"},
		"one of two":                      {"lb-192.0.2.1", "shop/web 1,"},
		"too much":                        {"lb-192.0.2.1", "shop/web 1 terms more"},
		"a name that is a way out":        {"lb-192.0.2.1", "shop/.. 1"},
		"a name with a slash":             {"lb-192.0.2.1", "shop/web/status 1"},
		"a name with a percent sign":      {"lb-192.0.2.1", "shop/w%b 1"},
		"a namespace that is none":        {"lb-192.0.2.1", "Shop/web 1"},
		"a UID with control characters":   {"lb-192.0.2.1", "shop/web 1\n"},
		"a UID longer than any":           {"lb-192.0.2.1", "shop/web " + strings.Repeat("1", 129)},
		"more Services than may share it": {"lb-192.0.2.1", strings.Repeat("shop/web 1,", maxHolders) + "shop/web 1"},
	} {
		t.Run(name, func(t *testing.T) {
			lease := &coordinationv1.Lease{}
			lease.Name, lease.Annotations = tc.name, map[string]string{ServicesAnnotation: tc.services}
			if got, err := ClaimOf(lease); err == nil {
				t.Errorf("read as %+v", got)
			}
		})
	}
}

// FuzzClaimOf: what is read is written the same way again.
func FuzzClaimOf(f *testing.F) {
	f.Add("lb-192.0.2.1", "shop/web 1,shop/api 2 terms")
	f.Add("lb-2001-0db8-0000-0000-0000-0000-0000-0001", "a/b c")
	f.Add("lb-", " / ,")
	f.Fuzz(func(t *testing.T, name, services string) {
		lease := &coordinationv1.Lease{}
		lease.Name, lease.Annotations = name, map[string]string{ServicesAnnotation: services}
		claim, err := ClaimOf(lease)
		if err != nil {
			return
		}
		again := LeaseOf("", claim)
		back, err := ClaimOf(again)
		if diff := cmp.Diff(claim, back, cmpopts.EquateComparable(netip.Addr{})); again.Name != name || err != nil || diff != "" {
			t.Errorf("%q %q is read as %+v, and written as %q: %v\n%s", name, services, claim, again.Annotations[ServicesAnnotation], err, diff)
		}
	})
}

func TestTerms(t *testing.T) {
	base := svc("a", sharing("k", 80, "red", "blue"), ports(80, 443))
	for name, tc := range map[string]struct {
		change edit
		same   bool
	}{
		"the order of things":       {func(s *Service) { ports(443, 80, 80)(s); s.SharesWith = []string{"blue", "red", "red"} }, true},
		"what sharing does not see": {func(s *Service) { s.Labels, s.Wish.Pool, s.Created = nil, "p", clock }, true},
		"a port":                    {ports(80, 444), false},
		"a protocol":                {func(s *Service) { s.Ports[0].Protocol = corev1.ProtocolUDP }, false},
		"the key":                   {func(s *Service) { s.SharingKey = "l" }, false},
		"a namespace":               {func(s *Service) { s.SharesWith = []string{"red"} }, false},
		"the policy":                {local, false},
		"the selector":              {selecting("b"), false},
	} {
		t.Run(name, func(t *testing.T) {
			changed := base
			changed.Ports = slices.Clone(base.Ports)
			tc.change(&changed)
			if got := changed.terms() == base.terms(); got != tc.same {
				t.Errorf("the same: %t, want %t", got, tc.same)
			}
		})
	}
}

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

package model

import (
	"net/netip"
	"testing"
)

func TestAnAddressIsAVIPWhileAnyServiceHasIt(t *testing.T) {
	addr := netip.MustParseAddr("203.0.113.9")
	s := NewStore(Options{})
	expect := func(when string, want bool) {
		t.Helper()
		if got := s.IsVIP(addr); got != want {
			t.Errorf("%s: %v", when, got)
		}
	}
	a, b := makeService("a", externalIPs(addr.String())), makeService("b", externalIPs(addr.String()))
	expect("at first", false)
	s.SetService(a)
	s.SetService(b)
	s.SetService(a.DeepCopy())
	s.DeleteService(a.Namespace, a.Name)
	expect("of one of two that had it", true)
	s.SetService(makeService("b"))
	expect("given up", false)
	s.DeleteService(b.Namespace, b.Name)
	if len(s.vips) != 0 {
		t.Errorf("%d addresses are left", len(s.vips))
	}
	c := makeService("c")
	c.Spec.ClusterIP, c.Spec.ClusterIPs = addr.String(), []string{addr.String()}
	s.SetService(c)
	expect("a ClusterIP", true)
	c = c.DeepCopy()
	c.Spec.ClusterIP, c.Spec.ClusterIPs = "None", []string{"None"}
	s.SetService(c)
	expect("a headless Service's no more", false)
}

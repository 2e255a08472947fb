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

package allocator

import (
	"fmt"
	"net/netip"
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/api/v1alpha1"
)

func TestAddrPoolSet(t *testing.T) {
	span := func(first, last string) AddrSpan {
		return AddrSpan{netip.MustParseAddr(first), netip.MustParseAddr(last)}
	}
	red := labels.SelectorFromSet(labels.Set{"team": "red"})
	set := NewAddrPoolSet(v1alpha1.UseLoadBalancer, []AddrPool{
		{Name: "b", Use: v1alpha1.UseLoadBalancer, AutoAssign: true, Ranges: []AddrSpan{span("192.0.2.0", "192.0.2.9"), span("2001:db8::", "2001:db8::9")}},
		{Name: "a", Use: v1alpha1.UseLoadBalancer, AutoAssign: true, Ranges: []AddrSpan{span("192.0.2.20", "192.0.2.29")}, Namespaces: red},
		{Name: "first", Use: v1alpha1.UseLoadBalancer, Priority: 9, Ranges: []AddrSpan{span("192.0.2.5", "192.0.2.5")}},
		{Name: "other", Use: v1alpha1.UseExternalIP, AutoAssign: true, Ranges: []AddrSpan{span("192.0.2.0", "192.0.2.99")}},
	})
	names := func(indexes []int) (all []string) {
		for _, i := range indexes {
			all = append(all, set.Pool(i).Name)
		}
		return all
	}
	if got := fmt.Sprint(set.Len(), names(set.For(labels.Set{"team": "red"}, nil)), names(set.For(nil, nil))); got != "3 [first a b] [first b]" {
		t.Errorf("the pools are %s", got)
	}
	b := 1
	if got := fmt.Sprint(set.Effective(b)); got != "[192.0.2.0-192.0.2.4 192.0.2.6-192.0.2.9 2001:db8::-2001:db8::9]" {
		t.Errorf("of pool b are %s", got)
	}
	if got := fmt.Sprint(set.Automatic(b, []AddrSpan{span("192.0.2.7", "192.0.2.200"), span("192.0.2.1", "192.0.2.2")})); got !=
		"[192.0.2.0 192.0.2.3-192.0.2.4 192.0.2.6 2001:db8::-2001:db8::9]" {
		t.Errorf("pool b gives %s", got)
	}
	for addr, want := range map[string]string{"192.0.2.4": "b true", "192.0.2.5": "first false", "192.0.2.10": " false", "::ffff:192.0.2.21": "a true"} {
		owner := ""
		if i, ok := set.OwnerOf(netip.MustParseAddr(addr)); ok {
			owner = set.Pool(i).Name
		}
		if got := fmt.Sprint(owner, " ", set.IsAutomatic(netip.MustParseAddr(addr))); got != want {
			t.Errorf("%s is %s, want %s", addr, got, want)
		}
	}
}

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
	"errors"
	"net/netip"
	"testing"

	"switchyard.dev/switchyard/api/v1alpha1"
)

func TestASpareAddressIsOneThatNobodyWouldMiss(t *testing.T) {
	pool := func(team string, ranges ...string) AddrPool {
		return addrPool("pool-"+team, team, v1alpha1.UseClusterIP, ranges...)
	}
	manual := pool("system", "10.0.0.0/29")
	manual.AutoAssign = false
	const v4, v6 = "10.0.0.0/29", "fd00::/125" // .1 to .6, ::1 to ::7
	for name, tc := range map[string]struct {
		cidrs []string
		pools []AddrPool
		want  string // the range of the address, "" for none
		full  bool
	}{
		"any of the range":                         {[]string{v4}, nil, v4, false},
		"of IPv6 where there are both":             {[]string{v4, v6}, nil, v6, false},
		"of IPv6 where that is the second":         {[]string{v6, v4}, nil, v6, false},
		"outside of the pools of others":           {[]string{v4}, []AddrPool{pool("red", "10.0.0.0/30", "10.0.0.4/31")}, "10.0.0.6/32", false},
		"outside of its own pools as well":         {[]string{v4}, []AddrPool{pool("system", "10.0.0.0/30", "10.0.0.4/31")}, "10.0.0.6/32", false},
		"of IPv4 where IPv6 is all in pools":       {[]string{v4, v6}, []AddrPool{pool("red", v6)}, v4, false},
		"of its own pool where all is in pools":    {[]string{v4}, []AddrPool{pool("red", "10.0.0.4/30"), pool("system", "10.0.0.0/30")}, "10.0.0.0/30", false},
		"none where others have all of it":         {[]string{v4}, []AddrPool{pool("red", v4)}, "", true},
		"none of a pool that gives only by number": {[]string{v4}, []AddrPool{manual}, "", true},
		"for the server where no range is known":   {nil, nil, "", false},
		"any where pools are of load balancers":    {[]string{v4}, []AddrPool{addrPool("lb", "red", v1alpha1.UseLoadBalancer, v4)}, v4, false},
	} {
		t.Run(name, func(t *testing.T) {
			index := newIndex(t, tc.cidrs...)
			index.SetPools(nil, tc.pools)
			for range 20 { // it keeps nothing, so that it does not run out
				addr, err := index.SpareAddr(teamLabels("system"), nil)
				if errors.Is(err, ErrFull) != tc.full || err != nil && !tc.full {
					t.Fatalf("error %v", err)
				}
				if tc.want == "" && addr.IsValid() || tc.want != "" && !netip.MustParsePrefix(tc.want).Contains(addr) {
					t.Fatalf("%s, want one of %q", addr, tc.want)
				}
			}
		})
	}
}

func TestASpareAddressIsNobodys(t *testing.T) {
	index := newIndex(t, "10.0.0.0/29")
	held := func(ip string, version int) {
		service := svc(ips(ip))
		service.Name = "s" + ip
		index.Observe(stored(service, ip, version))
	}
	held("10.0.0.1", 1)
	held("10.0.0.2", 2)
	index.Claim(Claim{Number: AddrNumber(netip.MustParseAddr("10.0.0.3"))})
	index.Reserve(reservedAddr("10.0.0.4", web))
	index.Reserve(reservedAddr("10.0.0.5", web))
	for range 20 {
		if addr, err := index.SpareAddr(nil, nil); err != nil || addr.String() != "10.0.0.6" {
			t.Fatalf("%s, %v", addr, err)
		}
	}
	held("10.0.0.6", 3)
	if addr, err := index.SpareAddr(nil, nil); !errors.Is(err, ErrFull) {
		t.Errorf("%s, %v", addr, err)
	}
}

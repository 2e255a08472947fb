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

package routes

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheSnippetOfBIRDHasAllRoutes(t *testing.T) {
	const want = birdHeader + `protocol static switchyard_ipv4 {
	ipv4 { table switchyard4; };
	route 10.96.0.0/12 blackhole;
	route 192.0.2.10/32 blackhole;
}
protocol static switchyard_ipv6 {
	ipv6 { table switchyard6; };
	route fd00:99::10/128 blackhole;
}
`
	if diff := cmp.Diff(want, birdSnippet(prefixes("10.96.0.0/12", "192.0.2.10/32", "fd00:99::10/128"))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	const none = birdHeader + `protocol static switchyard_ipv4 {
	ipv4 { table switchyard4; };
}
protocol static switchyard_ipv6 {
	ipv6 { table switchyard6; };
}
`
	if diff := cmp.Diff(none, birdSnippet(nil)); diff != "" {
		t.Errorf("without any (-want +got)\n%s", diff)
	}
}

func TestBIRDsRepliesAreRead(t *testing.T) {
	for reply, want := range map[string]string{
		"0001 BIRD 2.0.12 ready.\n0002-Reading configuration from bird.conf\n0003 Reconfigured\n":                 "3 Reconfigured true 0 false",
		"0001 BIRD 2.0.12 ready.\n0002-Reading\n8002 /run/x.conf:3:1 syntax error\n":                              "8002 /run/x.conf:3:1 syntax error true 0 false",
		"0001 BIRD 2.0.12 ready.\n1007-2 of 2 routes for 2 networks in table switchyard4\n":                       "1007 2 of 2 routes for 2 networks in table switchyard4 true 2 true",
		"0001 BIRD 2.0.12 ready.\n1007-1 of 9 route for 1 network in table switchyard4\n":                         "1007 1 of 9 route for 1 network in table switchyard4 true 1 true",
		"0001 BIRD 2.0.12 ready.\n1007-99999999999999999999999 of 2 routes for 2 networks in table switchyard4\n": "1007 99999999999999999999999 of 2 routes for 2 networks in table switchyard4 true 9223372036854775807 false",
		"":      "0  false 0 false",
		"hello": "0  false 0 false",
	} {
		code, text, ok := birdOutcome(reply)
		n, counted := birdCount(reply)
		if got := fmt.Sprint(code, " ", text, " ", ok, " ", n, " ", counted); got != want {
			t.Errorf("%q is read as\n%s\nwant\n%s", reply, got, want)
		}
	}
}

const running = `Building configuration...

Current configuration:
!
frr version 8.4.4
frr defaults traditional
!
router bgp 65001
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 10.1.0.1 remote-as 65000
 !
 address-family ipv4 unicast
  network 192.0.2.10/32 route-map SWITCHYARD
  network 192.0.2.11/32 route-map SWITCHYARD
  network 192.0.2.12/32 route-map OTHER
  network 198.51.100.0/24
 exit-address-family
 !
 address-family ipv6 unicast
  network fd00:99::10/128 route-map SWITCHYARD
 exit-address-family
exit
!
router bgp 65002 vrf red
 !
 address-family ipv4 unicast
  network 203.0.113.1/32 route-map SWITCHYARD
 exit-address-family
exit
!
route-map SWITCHYARD permit 65535
exit
!
end
`

func TestTheRunningConfigurationOfFRRIsRead(t *testing.T) {
	want := frrState{
		AS: "65001", Marked: true, Unchecked: true,
		Ours:   prefixes("192.0.2.10/32", "192.0.2.11/32", "fd00:99::10/128"),
		Others: prefixes("192.0.2.12/32", "198.51.100.0/24"),
	}
	compare := cmp.Comparer(func(a, b frrState) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
	if diff := cmp.Diff(want, readFRR(running), compare); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for text, want := range map[string]string{
		"": "{ [] [] false false}",
		"router bgp 1.10 as-notation dot\n network 192.0.2.1/32\nexit\n": "{1.10 [] [192.0.2.1/32] false false}",
		"router bgp 1 view x\n network 192.0.2.1/32\n":                   "{ [] [] false false}",
		"router bgp 1\n network nonsense route-map SWITCHYARD\n network": "{1 [] [] false false}",
		"router ospf\n network 192.0.2.0/24 area 0\n":                    "{ [] [] false false}",
	} {
		if got := fmt.Sprint(readFRR(text)); got != want {
			t.Errorf("%q is read as %s, want %s", text, got, want)
		}
	}
}

func TestFRRIsToldWhatDiffersOnly(t *testing.T) {
	state := readFRR(running)
	// The administrator's own network is announced already.
	add, remove := frrChange(state, prefixes("192.0.2.11/32", "192.0.2.12/32", "192.0.2.13/32", "fd00:99::11/128"))
	const want = frrHeader + `route-map SWITCHYARD permit 65535
exit
router bgp 65001
 address-family ipv4 unicast
  network 192.0.2.13/32 route-map SWITCHYARD
  no network 192.0.2.10/32
 exit-address-family
 address-family ipv6 unicast
  network fd00:99::11/128 route-map SWITCHYARD
  no network fd00:99::10/128
 exit-address-family
exit
`
	if diff := cmp.Diff(want, frrSnippet(state.AS, add, remove)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if add, remove := frrChange(state, state.Ours); len(add)+len(remove) > 0 {
		t.Errorf("add %v, remove %v where nothing differs", add, remove)
	}
}

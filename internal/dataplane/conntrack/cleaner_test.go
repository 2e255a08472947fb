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

package conntrack

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

var (
	families  = []model.Family{model.IPv4, model.IPv6}
	protocols = []model.Protocol{model.TCP, model.UDP, model.SCTP}
)

// bystanders are flows that differ in one thing from those to port 53 of
// address 96.1, and one that is not a Service's at all.
func bystanders(family model.Family, protocol model.Protocol) []flow {
	client, endpoint := at(family, 1, 1, 2000), at(family, 2, 9, 53)
	otherProtocol := protocols[(slices.Index(protocols, protocol)+1)%len(protocols)]
	otherFamily := model.IPv4 + model.IPv6 - family
	return []flow{
		{protocol: protocol, from: client, to: at(family, 96, 2, 53), endpoint: endpoint},
		{protocol: protocol, from: client, to: at(family, 96, 1, 54), endpoint: endpoint},
		{protocol: otherProtocol, from: client, to: at(family, 96, 1, 53), endpoint: endpoint},
		{protocol: protocol, from: at(otherFamily, 1, 1, 2000), to: at(otherFamily, 96, 1, 53), endpoint: at(otherFamily, 2, 9, 53)},
		{protocol: protocol, from: client, to: at(family, 3, 3, 53)},
	}
}

func TestOnlyFlowsThatLeadNowhereAreDeleted(t *testing.T) {
	for _, family := range families {
		for _, protocol := range protocols {
			t.Run(family.String()+" "+protocol.String(), func(t *testing.T) {
				vip := at(family, 96, 1, 53)
				alive, gone := at(family, 2, 1, 53), at(family, 2, 2, 53)
				from := func(host byte) netip.AddrPort { return at(family, 1, host, 1000) }
				answered := map[bool][]flow{
					true:  {{protocol, from(3), vip, gone, true}},
					false: {{protocol, from(4), vip, gone, false}, {protocol, from(5), vip, netip.AddrPort{}, false}},
				}
				living := []flow{{protocol, from(1), vip, alive, true}, {protocol, from(2), vip, alive, false}}
				for name, tc := range map[string]struct {
					stale Stale
					spare bool // the answered ones
				}{
					"with an endpoint left":        {Stale{Allowed: []netip.AddrPort{alive}}, protocol != model.UDP},
					"only what was never answered": {Stale{Allowed: []netip.AddrPort{alive}, UnrepliedOnly: true}, true},
				} {
					t.Run(name, func(t *testing.T) {
						inNamespace(t, func(c *Cleaner) {
							stay := append(slices.Clone(living), bystanders(family, protocol)...)
							doomed := slices.Clone(answered[false])
							if tc.spare {
								stay = append(stay, answered[true]...)
							} else {
								doomed = append(doomed, answered[true]...)
							}
							insert(t, c, append(slices.Clone(stay), doomed...)...)
							tc.stale.Protocol, tc.stale.Addrs, tc.stale.Port = protocol, []netip.Addr{vip.Addr()}, vip.Port()
							deleted, err := c.Clean(context.Background(), []Stale{tc.stale})
							if err != nil || deleted != len(doomed) {
								t.Errorf("deleted %d, want %d (%v)", deleted, len(doomed), err)
							}
							expectTracked(t, c, stay)
						})
					})
				}
			})
		}
	}
}

func TestAServiceScaledToNothingKeepsNoUDPFlow(t *testing.T) {
	for _, family := range families {
		inNamespace(t, func(c *Cleaner) {
			vip, gone := at(family, 96, 1, 53), at(family, 2, 2, 53)
			for host := range byte(3) {
				insert(t, c, flow{model.UDP, at(family, 1, host, 1000), vip, gone, host > 0})
			}
			stay := bystanders(family, model.UDP)
			insert(t, c, stay...)
			deleted, err := c.Clean(context.Background(), []Stale{{Protocol: model.UDP, Addrs: []netip.Addr{vip.Addr()}, Port: 53}})
			if err != nil || deleted != 3 {
				t.Errorf("deleted %d, want 3 (%v)", deleted, err)
			}
			expectTracked(t, c, stay)
		})
	}
}

func TestFlowsFromBeforeTheirServiceAreDeleted(t *testing.T) {
	for _, family := range families {
		for _, protocol := range protocols {
			inNamespace(t, func(c *Cleaner) {
				vip := at(family, 96, 1, 53)
				through := flow{protocol: protocol, from: at(family, 1, 1, 1000), to: vip}
				talking := flow{protocol: protocol, from: at(family, 1, 2, 1000), to: vip, replied: true}
				stay := append(bystanders(family, protocol), flow{protocol, at(family, 1, 3, 1000), vip, at(family, 2, 1, 53), false})
				want := 2
				if protocol != model.UDP {
					stay, want = append(stay, talking), 1
				}
				insert(t, c, through)
				if protocol == model.UDP {
					insert(t, c, talking)
				}
				insert(t, c, stay...)
				deleted, err := c.CleanUntranslated(context.Background(), []Destination{{protocol, vip}})
				if err != nil || deleted != want {
					t.Errorf("%s %s: deleted %d, want %d (%v)", family, protocol, deleted, want, err)
				}
				expectTracked(t, c, stay)
			})
		}
	}
}

func TestManyDestinationsOfAllKindsAreOneSweep(t *testing.T) {
	inNamespace(t, func(c *Cleaner) {
		var what Sweep
		var stay []flow
		doomed := 0
		for _, family := range families {
			for _, protocol := range protocols {
				for i := range byte(100) {
					vip, alive := at(family, 96, i, uint16(i)+1), at(family, 2, i, 80)
					insert(t, c, flow{protocol, at(family, 1, 1, 1000), vip, at(family, 3, i, 80), false})
					doomed++
					stay = append(stay, flow{protocol, at(family, 1, 2, 1000), vip, alive, false})
					what.Stale = append(what.Stale, Stale{Protocol: protocol, Addrs: []netip.Addr{vip.Addr()}, Port: vip.Port(), Allowed: []netip.AddrPort{alive}})
					fresh := at(family, 97, i, 80)
					insert(t, c, flow{protocol: protocol, from: at(family, 1, 1, 1000), to: fresh})
					doomed++
					what.Untranslated = append(what.Untranslated, Destination{protocol, fresh})
				}
			}
		}
		insert(t, c, stay...)
		deleted, err := c.Sweep(context.Background(), what)
		if err != nil || deleted != doomed {
			t.Errorf("deleted %d, want %d (%v)", deleted, doomed, err)
		}
		expectTracked(t, c, stay)
	})
}

func TestFlowsOfAllZonesGo(t *testing.T) {
	inNamespace(t, func(c *Cleaner) {
		vip := at(model.IPv4, 96, 1, 53)
		lost := flow{model.UDP, at(model.IPv4, 1, 1, 1000), vip, at(model.IPv4, 2, 2, 53), true}
		insert(t, c, lost)
		insertInZone(t, c, 7, lost) // as bridges and OVS use them
		deleted, err := c.Clean(context.Background(), []Stale{{Protocol: model.UDP, Addrs: []netip.Addr{vip.Addr()}, Port: 53}})
		if err != nil || deleted != 2 {
			t.Errorf("deleted %d, want 2 (%v)", deleted, err)
		}
		expectTracked(t, c, nil)
	})
}

// Between the list and the request to delete, an entry may end and the client
// begin again, this time with an endpoint that lives.
func TestTheSuccessorOfAnEntryStays(t *testing.T) {
	inNamespace(t, func(c *Cleaner) {
		living := flow{model.UDP, at(model.IPv4, 1, 1, 1000), at(model.IPv4, 96, 1, 53), at(model.IPv4, 2, 1, 53), true}
		insert(t, c, living)
		var list nfnl.Messages
		list.Begin(getEntry, 0, unix.AF_INET, "listing entries")
		var earlier identity
		err := c.conn.Dump(&list, func() {}, func(_ uint8, a nfnl.Attributes) { earlier = identify(a) })
		if err != nil || len(earlier.id) == 0 {
			t.Fatalf("identified %+v (%v)", earlier, err)
		}
		earlier.id[0]++
		deleted, err := c.conn.RequestEach(1, func(m *nfnl.Messages, _ int) {
			m.Begin(deleteEntry, 0, unix.AF_INET, "deleting an entry")
			earlier.append(m)
		})
		if err != nil || deleted != 0 {
			t.Errorf("deleted %d, want none (%v)", deleted, err)
		}
		expectTracked(t, c, []flow{living})
	})
}

// An endpoint may come between the list and the requests to delete. What leads to
// it stays.
func TestFlowsToAnEndpointThatCameDuringAWalkStay(t *testing.T) {
	for _, protocol := range protocols {
		inNamespace(t, func(c *Cleaner) {
			vip, came, gone := at(model.IPv4, 96, 1, 80), at(model.IPv4, 2, 1, 80), at(model.IPv4, 2, 2, 80)
			stay := []flow{{protocol, at(model.IPv4, 1, 1, 1000), vip, came, false}}
			insert(t, c, append([]flow{{protocol, at(model.IPv4, 1, 2, 1000), vip, gone, false}}, stay...)...)
			asked := func(allowed ...netip.AddrPort) []Stale {
				return []Stale{{Protocol: protocol, Addrs: []netip.Addr{vip.Addr()}, Port: vip.Port(), Allowed: allowed}}
			}
			deleted, err := c.Sweep(context.Background(), Sweep{Stale: asked(), newer: func() []Stale { return asked(came) }})
			if err != nil || deleted != 1 {
				t.Errorf("%s: deleted %d, want 1 (%v)", protocol, deleted, err)
			}
			expectTracked(t, c, stay)
		})
	}
}

// expectTracked compares with all that the kernel holds.
func expectTracked(t *testing.T, c *Cleaner, want []flow) {
	t.Helper()
	got := append(tracked(t, c, model.IPv4), tracked(t, c, model.IPv6)...)
	if diff := cmp.Diff(texts(want), texts(got)); diff != "" {
		t.Errorf("what is tracked (-want +got):\n%s", diff)
	}
}

func texts(flows []flow) []string {
	list := make([]string, 0, len(flows))
	for _, f := range flows {
		words := []string{f.protocol.String(), f.from.String(), "to", f.to.String(), "at", f.endpoint.String()}
		if f.replied {
			words = append(words, "answered")
		}
		list = append(list, strings.Join(words, " "))
	}
	slices.Sort(list)
	return list
}

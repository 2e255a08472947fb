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
	"net/netip"
	"slices"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func TestOneConnectionIsFoundAmongOthers(t *testing.T) {
	for _, family := range []model.Family{model.IPv4, model.IPv6} {
		for _, protocol := range []model.Protocol{model.TCP, model.UDP, model.SCTP} {
			t.Run(family.String()+" "+protocol.String(), func(t *testing.T) {
				inNamespace(t, func(c *Cleaner) {
					client, vip, endpoint := at(family, 1, 5, 4000), at(family, 96, 1, 80), at(family, 2, 5, 8080)
					other := netip.AddrPortFrom(client.Addr(), 4001)
					alien := protocols[(slices.Index(protocols, protocol)+1)%len(protocols)]
					insert(t, c, flow{protocol: alien, from: client, to: vip, endpoint: at(family, 2, 6, 8080)},
						flow{protocol: alien, from: client, to: at(family, 96, 3, 80)},
						flow{protocol: protocol, from: client, to: vip, endpoint: endpoint, replied: true},
						flow{protocol: protocol, from: other, to: vip}, flow{protocol: protocol, from: client, to: at(family, 96, 2, 80)})
					want := Flow{Source: client, Destination: vip, Client: client, Server: endpoint}
					if got, found, err := Find(protocol, client, vip); err != nil || !found || got != want {
						t.Errorf("found %t %+v, %v, want %+v", found, got, err, want)
					}
					want = Flow{Source: client, Destination: at(family, 96, 2, 80), Client: client, Server: at(family, 96, 2, 80)}
					anyPort := netip.AddrPortFrom(client.Addr(), 0)
					if got, found, err := Find(protocol, anyPort, at(family, 96, 2, 80)); err != nil || !found || got != want {
						t.Errorf("from any port found %t %+v, %v, want %+v", found, got, err, want)
					}
					for _, missing := range [][2]netip.AddrPort{{at(family, 1, 6, 4000), vip}, {at(family, 1, 6, 0), vip}, {client, at(family, 96, 3, 80)}, {client, at(family, 96, 1, 81)}, {at(family, 1, 5, 4002), vip}} {
						if got, found, err := Find(protocol, missing[0], missing[1]); err != nil || found {
							t.Errorf("from %s to %s found %+v, %v", missing[0], missing[1], got, err)
						}
					}
				})
			})
		}
	}
}

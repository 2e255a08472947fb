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
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// settled ends a test: what the kernel holds is what is desired.
func (b *bed) settled(flags ...string) {
	b.Helper()
	b.awaitSync()
	for _, way := range b.ways() {
		b.await(way.name+" leads to exactly the ready endpoints", func() bool { return b.leads(way) })
	}
	// A start compares everything, and writes only what differs.
	b.endAgent(os.Interrupt)
	before := b.generation()
	b.startAgent(flags...)
	b.awaitSync()
	takeovers := uint32(0)
	if !slices.Contains(flags, unprotected) {
		takeovers = uint32(len(families)) // the new agent has to claim its tables
	}
	if after := b.generation(); after != before+takeovers {
		b.Errorf("a restart found something to change: %d transactions, want %d", after-before, takeovers)
	}
	b.endAgent(os.Interrupt)
	// And a node with no past holds the same, by name.
	worn := b.tables()
	b.in(b.node, func() error { return cleanup() })
	b.startAgent(flags...)
	b.awaitSync()
	b.endAgent(os.Interrupt)
	if diff := cmp.Diff(b.tables(), worn); diff != "" {
		b.Errorf("the tables are not those of a cold start (-cold +worn):\n%s", diff)
	}
}

// leads says whether a way leads to the ready endpoints, and to no others.
func (b *bed) leads(w way) bool {
	met := map[string]bool{}
	_ = w.from.Do(func() error {
		for range 12 * endpointCount {
			conn, err := net.DialTimeout(w.network, w.to.String(), patience)
			if err != nil {
				return err
			}
			name, err := newToll().ask(w, conn)
			abort(conn)
			if err != nil {
				return err
			}
			met[name] = true
		}
		return nil
	})
	want := map[string]bool{}
	for _, addr := range w.ready() {
		want[addr.String()] = true
	}
	// All clients of a sticky Service are one.
	if w.service.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		return len(met) == 1 && slices.ContainsFunc(w.ready(), func(a netip.Addr) bool { return met[a.String()] })
	}
	return cmp.Equal(met, want)
}

func (w way) ready() []netip.Addr {
	var all []netip.Addr
	for _, i := range w.service.ready {
		all = append(all, w.family.endpoint(i))
	}
	return all
}

// generation counts the transactions that the kernel has carried out in the
// node's namespace, of whichever table.
func (b *bed) generation() uint32 {
	b.Helper()
	var generation uint32
	b.in(b.node, func() error {
		request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0)
		request.AddData(&nl.Nfgenmsg{})
		answers, err := request.Execute(unix.NETLINK_NETFILTER, 0)
		if err != nil {
			return err
		}
		attributes, err := nl.ParseRouteAttr(answers[0][nl.SizeofNfgenmsg:])
		for _, a := range attributes {
			if a.Attr.Type == unix.NFTA_GEN_ID {
				generation = binary.BigEndian.Uint32(a.Value)
			}
		}
		return err
	})
	if generation == 0 {
		b.Fatal("the kernel does not tell its generation")
	}
	return generation
}

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

package announce

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/balancer"
)

func TestExactlyTheOwnedAddressesAreAnswered(t *testing.T) {
	b := newBed(t)
	b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
	b.answered()
	for _, vip := range vips {
		for _, other := range []netip.Addr{vip.Next(), vip.Prev()} {
			if names := b.whoHas(other); len(names) > 0 {
				t.Errorf("%s is nobody's, and %v answer", other, names)
			}
		}
	}
	for _, vip := range vips {
		lease := balancer.LeaseOf(system, balancer.Claim{Addr: vip})
		if err := b.client.CoordinationV1().Leases(system).Delete(t.Context(), lease.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		b.await("nobody answers for an address that is released", func() bool { return len(b.whoHas(vip)) == 0 })
	}
}

// It would be the only one left, and nobody would hear of it.
func TestANodeWithoutInterfaceTakesNothing(t *testing.T) {
	b := newBed(t)
	b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
	b.answered()
	mute, others := b.nodes[0], b.nodes[1:]
	mute.agent.End(syscall.SIGTERM)
	mute.start("--announce-interfaces=nope")
	b.await("it says so", func() bool { return strings.Contains(mute.agent.Log(), "no interface to answer on") })
	b.await("it is counted", func() bool { return mute.metric("switchyard_node_announcer_mute") == "1" })
	for _, n := range others {
		b.exclude(n, true)
	}
	for _, vip := range vips {
		b.await(vip.String()+" is nobody's", func() bool { return b.owner(vip) == nil })
	}
	for _, n := range others {
		b.exclude(n, false)
	}
	b.answered(mute)
	b.await("each address is counted once as owned", func() bool {
		owned := 0
		for _, n := range others {
			for _, family := range []string{"IPv4", "IPv6"} {
				if n.metric(`switchyard_node_owned_addresses{ip_family="`+family+`"}`) == "1" {
					owned++
				}
			}
		}
		return owned == len(vips)
	})
}

// Each connection asks anew who has the address, as a client does that has never
// asked before.
func TestAnAgentThatIsKilled(t *testing.T) {
	b := newBed(t)
	b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
	b.failOver("the agent is killed", func(owner *node) { owner.agent.End(os.Kill) })
}

func TestANodeThatIsGone(t *testing.T) {
	b := newBed(t)
	s := b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
	b.failOver("the node is gone", func(owner *node) {
		b.move(s, slices.DeleteFunc(slices.Clone(b.nodes), func(n *node) bool { return n == owner })...) // nobody else's matter
		b.lose(owner)
	})
}

// lose takes a node off the network, and ends its agent.
func (b *bed) lose(n *node) {
	b.Helper()
	b.cable(n, netlink.LinkSetDown)
	n.gate.close(true)
	n.agent.End(os.Kill)
}

// cable does something to the bridge's end of a node's cable.
func (b *bed) cable(n *node, do func(netlink.Link) error) {
	b.Helper()
	b.in(b.bridge, func() error {
		link, err := netlink.LinkByName(n.name)
		if err != nil {
			return err
		}
		return do(link)
	})
}

// failOver measures how long nobody answers, and fails only if that does not end.
func (b *bed) failOver(what string, fault func(owner *node)) {
	b.Helper()
	owner := b.gather()
	flows := b.begin(true)
	b.await("connections are made", func() bool { return flows.count() > 50 })
	fault(owner)
	b.answered(owner)
	before := flows.count()
	b.await("more connections are made", func() bool { return flows.count() > before+50 })
	flows.end()
	for _, vip := range vips {
		b.Logf("%s: %s was not answered for %.2f s at the longest", what, vip, flows.gap[vip].Seconds())
	}
	b.Logf("%d connections, %d of them not answered, %d cut", flows.made, len(flows.failed), flows.cut)
}

// Nobody who begins a connection notices a planned move: none fails, and no packet
// is sent twice. One that has begun at that moment, and not ended, may be cut. Whoever
// asks who has the address is answered, at any moment.
func TestPlannedMovesLoseNoConnection(t *testing.T) {
	for name, move := range map[string]func(b *bed, owner *node){
		"the node is excluded": func(b *bed, owner *node) { b.exclude(owner, true) },
		"the agent is ended":   func(_ *bed, owner *node) { owner.agent.End(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
			owner := b.gather()
			flows := b.begin(false)
			var asking sync.WaitGroup
			for _, vip := range vips {
				asking.Go(func() {
					if asked, unanswered := b.askAlways(vip, flows.stop); unanswered > 0 {
						t.Errorf("of %d questions who has %s, nobody answered %d", asked, vip, unanswered)
					}
				})
			}
			b.await("connections are made", func() bool { return flows.count() > 50 })
			move(b, owner)
			// Nobody else asks meanwhile from the same machine: what is answered to one
			// would be taken for an answer to the other.
			b.moved(owner)
			before := flows.count()
			b.await("more connections are made", func() bool { return flows.count() > before+50 })
			flows.end()
			asking.Wait()
			b.answered(owner)
			if len(flows.failed) > 0 || flows.retried > 0 {
				t.Errorf("of %d connections %d failed and %d had to send a packet again: %v", flows.made, len(flows.failed), flows.retried, flows.failed)
			}
			t.Logf("%d connections, none lost, %d cut", flows.made, flows.cut)
		})
	}
}

// An owner that has lost the API server alone would go on answering for ever, if
// it did not hear the one that takes its place; and so would clients go on sending
// to it, which ask nobody as long as it works.
func TestAnOwnerCutOffFromTheAPIServer(t *testing.T) {
	b := newBed(t)
	b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
	owner := b.gather()
	b.learn(owner)
	flows := b.begin(false)
	b.await("connections are made", func() bool { return flows.count() > 50 })
	owner.gate.close(true)
	b.told(owner)
	before := flows.count()
	b.await("more connections are made", func() bool { return flows.count() > before+50 })
	flows.end()
	if len(flows.failed) > 0 || flows.retried > 0 {
		t.Errorf("of %d connections %d failed and %d had to send a packet again: %v", flows.made, len(flows.failed), flows.retried, flows.failed)
	}
	t.Logf("%d connections, none lost, %d cut", flows.made, flows.cut)
	b.answered(owner)
	owner.gate.close(false)
	b.answered(owner)
}

// What the new owner says at first does not reach one whose network is away, and
// when that is back, the old one may have no API server for a while yet.
func TestAnOwnerThatHasNotHeardTheNewOne(t *testing.T) {
	b := newBed(t)
	b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
	owner := b.gather()
	var said []*atomic.Int64
	for _, vip := range vips {
		said = append(said, b.listen(vip))
	}
	b.cable(owner, netlink.LinkSetDown)
	owner.gate.close(true)
	b.moved(owner)
	for _, count := range said {
		b.await("all is said that is said at first", func() bool { return count.Load() >= 5 })
	}
	b.cable(owner, netlink.LinkSetUp)
	b.answered(owner)
}

// A client that is sure of where an address is asks nobody for a long time, and
// sends into the void when the node is gone.
func TestWhoKnowsTheOldNodeIsTold(t *testing.T) {
	b := newBed(t)
	b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
	for _, fault := range []func(owner *node){
		func(owner *node) { b.exclude(owner, true) },
		b.lose,
	} {
		owner := b.gather()
		b.learn(owner)
		fault(owner)
		b.told(owner)
		for _, vip := range vips {
			b.await("a connection to "+vip.String(), func() bool {
				_, _, _, err := b.connect(vip, time.Second)
				return err == nil
			})
		}
	}
}

// Its kernel answers for it by itself, and to answer on top of that would be one node
// with two minds.
func TestAnAddressOnAnInterfaceIsLeftToOthers(t *testing.T) {
	b := newBed(t)
	b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
	owner := b.gather()
	b.in(owner.ns, func() error { return addresses("lo", vips, [2]int{32, 128}) })
	b.moved(owner)
	b.await("it is counted", func() bool { return owner.metric(`switchyard_node_barred_addresses{ip_family="IPv6"}`) == "1" })
	b.await("it is said", func() bool {
		list := must(b.client.CoreV1().Events(metav1.NamespaceDefault).List(b.Context(), metav1.ListOptions{FieldSelector: "reason=AddressNotAnnounced"}))(b.T)
		return len(list.Items) > 0
	})
}

// Another machine of the cluster has it, which an allocation before its time could
// not know.
func TestAnAddressThatANodeGetsIsAnnouncedByNobody(t *testing.T) {
	b := newBed(t)
	b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
	b.answered()
	nodes := b.client.CoreV1().Nodes()
	late := must(nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, metav1.CreateOptions{}))(t)
	t.Cleanup(func() { _ = nodes.Delete(b.late(), late.Name, metav1.DeleteOptions{}) })
	late.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: vips[0].String()}}
	must(nodes.UpdateStatus(t.Context(), late, metav1.UpdateOptions{}))(t)
	b.await("nobody answers", func() bool { return b.owner(vips[0]) == nil && len(b.whoHas(vips[0])) == 0 })
	if names := must(b.ask(vips[1], patience, 1))(t); len(names) == 0 {
		t.Error("the other address is not answered any more")
	}
	if err := nodes.Delete(t.Context(), late.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.answered()
}

func TestLocalServicesAreAnnouncedWhereTheyAre(t *testing.T) {
	b := newBed(t)
	s := b.newService(corev1.ServiceExternalTrafficPolicyLocal, b.nodes[1])
	for _, at := range []*node{b.nodes[1], b.nodes[2], b.nodes[0]} {
		b.move(s, at)
		for i, vip := range vips {
			b.await(vip.String()+" is where the endpoint is", func() bool { return b.owner(vip) == at })
			b.await("the endpoint sees the client's address", func() bool {
				server, client, _, err := b.connect(vip, time.Second)
				return err == nil && server == at.name && client == outsideIPs[i]
			})
		}
	}
	b.move(s)
	for _, vip := range vips {
		b.await("nobody answers for a Service without endpoint", func() bool { return len(b.whoHas(vip)) == 0 })
	}
}

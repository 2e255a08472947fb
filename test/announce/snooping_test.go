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
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// A switch that looks at group memberships (MLD snooping) passes solicitations on only
// to who has said that it listens; that the agents read every frame does not help.
func TestASwitchThatSnoopsAsksTheOwner(t *testing.T) {
	b := newBed(t)
	b.in(b.bridge, snoop)
	nobodys := netip.MustParseAddr("fd70::aa:bbcc")
	b.await("the switch passes on nothing that nobody listens to", func() bool { return !b.reaches(b.nodes[0], nobodys, shortly) })
	b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
	b.answered()
	owner := b.owner(vips[1])
	if !b.reaches(owner, vips[1], patience) {
		t.Error("a solicitation does not reach the owner")
	}
	b.exclude(owner, true)
	b.answered(owner)
	if b.reaches(b.nodes[0], nobodys, shortly) {
		t.Error("by now the switch passes on everything, and this test shows nothing")
	}
}

// snoop makes the bridge ask who listens to what, and believe the answers ten seconds
// later. Without an address of its own it can not ask.
func snoop() error {
	link, err := netlink.LinkByName("br0")
	if err != nil {
		return err
	}
	request := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	header := nl.NewIfInfomsg(unix.AF_UNSPEC)
	header.Index = int32(link.Attrs().Index)
	request.AddData(header)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	data.AddRtAttr(nl.IFLA_BR_MCAST_SNOOPING, nl.Uint8Attr(1))
	data.AddRtAttr(nl.IFLA_BR_MCAST_QUERIER, nl.Uint8Attr(1))
	request.AddData(info)
	_, err = request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// shortly is for a question that is not to come.
const shortly = 300 * time.Millisecond

// reaches asks from outside, once, who has an address, and says whether the question
// comes to a node.
func (b *bed) reaches(n *node, addr netip.Addr, limit time.Duration) bool {
	b.Helper()
	fd, _, err := packets(n.ns, addr)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	must(b.ask(addr, 0, 1))(b.T)
	buffer := make([]byte, 2048)
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		length, err := unix.Read(fd, buffer)
		if err != nil {
			continue // nothing yet
		}
		if buffer[20] == unix.IPPROTO_ICMPV6 && buffer[54] == 135 && bytes.Equal(buffer[62:length][:16], addr.AsSlice()) {
			return true
		}
	}
	return false
}

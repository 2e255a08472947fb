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

package leftovers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

// nftablesMode is the skeleton of what kube-proxy makes in that mode.
const nftablesMode = `
table FAMILY kube-proxy {
	map service-ips { type mark : verdict; elements = { 1 : goto service-a } }
	chain service-a { accept; }
	chain services { meta mark vmap @service-ips; }
	chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
	chain nat-postrouting { type nat hook postrouting priority 100; meta mark 0x4000 masquerade; }
}`

// iptablesMode is what it makes in the other one, among rules of others.
const iptablesMode = `*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
:MINE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j MINE
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-SERVICES -p tcp -m tcp --dport 80 -j KUBE-SVC-A
-A KUBE-SVC-A -j KUBE-MARK-MASQ
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -j MASQUERADE
COMMIT
*filter
:KUBE-FORWARD - [0:0]
:KUBE-FIREWALL - [0:0]
-A INPUT -j KUBE-FIREWALL
-A FORWARD -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
`

// ours stands for a table that serves.
const ours = "table FAMILY switchyard { chain nat-prerouting { type nat hook prerouting priority -100; counter;\n}\n}"

type node struct {
	*testing.T
	*netns.Namespace
}

func newNode(t *testing.T) node {
	prereq.Tool(t, "nft", "nftables")
	prereq.Tool(t, "iptables-nft-restore", "iptables")
	return node{t, prereq.Namespace(t)}
}

func (n node) run(input string, command ...string) string {
	n.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin = strings.NewReader(input)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := n.Do(cmd.Run); err != nil {
		n.Fatalf("%v: %v\n%s", command, err, out.String())
	}
	return out.String()
}

func (n node) load(text string) {
	n.Helper()
	for _, family := range []string{"ip", "ip6"} {
		n.run(strings.ReplaceAll(text, "FAMILY", family), "nft", "-f", "-")
	}
}

func (n node) remove() (done []string, err error) {
	n.Helper()
	_ = n.Do(func() error {
		done, err = Remove(context.Background())
		return nil
	})
	return done, err
}

func TestBothModesAreRemovedFromTheKernel(t *testing.T) {
	n := newNode(t)
	n.load(nftablesMode)
	n.run(iptablesMode, "iptables-nft-restore")
	n.run(iptablesMode, "ip6tables-nft-restore")
	before := n.run("", "nft", "list", "ruleset")
	if done, err := n.remove(); !errors.Is(err, ErrNotServed) || len(done) > 0 {
		t.Fatalf("where no table of ours serves: %q, %v", done, err)
	}
	if n.run("", "nft", "list", "ruleset") != before {
		t.Fatal("something was removed all the same")
	}
	n.load(ours)
	done, err := n.remove()
	if err != nil {
		t.Fatal(err)
	}
	after := n.run("", "nft", "list", "ruleset")
	for _, gone := range []string{"kube-proxy", "KUBE-SERVICES", "KUBE-SVC-A", "KUBE-MARK-MASQ", "KUBE-POSTROUTING", "KUBE-FORWARD"} {
		if strings.Contains(after, gone) {
			t.Errorf("%s is still there", gone)
		}
	}
	for _, stays := range []string{"table ip switchyard", "table ip6 switchyard", "jump MINE", "jump KUBE-FIREWALL", "chain PREROUTING"} {
		if !strings.Contains(after, stays) {
			t.Errorf("%s is not there any more", stays)
		}
	}
	if text := strings.Join(done, "\n"); !strings.Contains(text, "IPv6: removed 4 chains of iptables' table nat") {
		t.Errorf("it says\n%s", text)
	}
	if again, err := n.remove(); err != nil || len(again) > 0 {
		t.Errorf("a second time: %q, %v", again, err)
	}
}

func TestAChainThatOthersUseStaysInTheKernel(t *testing.T) {
	n := newNode(t)
	n.run(iptablesMode, "iptables-nft-restore")
	n.run("", "iptables-nft", "-t", "nat", "-A", "MINE", "-j", "KUBE-MARK-MASQ")
	n.load(ours)
	done, err := n.remove()
	if err != nil {
		t.Fatal(err)
	}
	got := n.run("", "iptables-nft", "-t", "nat", "-S")
	for _, stays := range []string{"-A KUBE-MARK-MASQ -j MARK", "-A POSTROUTING -j KUBE-POSTROUTING", "-A KUBE-POSTROUTING -j MASQUERADE"} {
		if !strings.Contains(got, stays) {
			t.Errorf("%s is gone:\n%s", stays, got)
		}
	}
	if strings.Contains(got, "KUBE-SERVICES") || !strings.Contains(strings.Join(done, "\n"), "kept KUBE-POSTROUTING of iptables' table nat: what has the mark") {
		t.Errorf("it says %q, and left:\n%s", done, got)
	}
}

func TestManyChainsTakeSeveralTransactions(t *testing.T) {
	n := newNode(t)
	var text strings.Builder
	text.WriteString("*nat\n:KUBE-SERVICES - [0:0]\n")
	const services = 1000
	for i := range services {
		fmt.Fprintf(&text, ":KUBE-SVC-%016d - [0:0]\n-A KUBE-SERVICES -j KUBE-SVC-%016d\n", i, i)
	}
	n.run(text.String()+"COMMIT\n", "iptables-nft-restore")
	n.load(ours)
	err := n.Do(func() error {
		conn, err := nfnl.Dial()
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		k := kernel{conn, 1000}
		plans, err := planAll(k.read)
		if err != nil {
			return err
		}
		_, err = carryOut(plans, k.remove, nft.Settle)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := n.run("", "iptables-nft", "-t", "nat", "-S"); strings.Contains(got, "KUBE-") {
		t.Errorf("left %d lines", strings.Count(got, "KUBE-"))
	}
}

func TestTheKernelSaysHowManyEditsAreDone(t *testing.T) {
	n := newNode(t)
	n.load(nftablesMode)
	err := n.Do(func() error {
		conn, err := nfnl.Dial()
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		edits := []edit{
			{place: at("kube-proxy nat-prerouting"), what: removeRules}, {place: at("kube-proxy services"), what: removeRules},
			{place: at("kube-proxy no-such-chain"), what: removeChain}, {place: at("kube-proxy"), what: removeTable},
		}
		// Each edit is a transaction of its own.
		if done, err := (kernel{conn, 1}).remove(model.IPv4, edits); done != 2 || err == nil {
			t.Errorf("got %d, %v", done, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A bridge stands for the device, as not every kernel has the kind that it is.
func TestWhatIsNotNftablesIsRemovedFromTheKernel(t *testing.T) {
	n := newNode(t)
	err := n.Do(func() error {
		device := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: ipvsDevice}}
		if err := netlink.LinkAdd(device); err != nil {
			return err
		}
		return netlink.AddrAdd(device, &netlink.Addr{IPNet: netlink.NewIPNet(net.IPv4(10, 96, 0, 1))})
	})
	if err != nil {
		t.Fatal(err)
	}
	hasSets := n.Do(func() error {
		return netlink.IpsetCreate("KUBE-CLUSTER-IP", "hash:ip,port", netlink.IpsetCreateOptions{Family: unix.AF_INET})
	})
	if done, err := n.remove(); !errors.Is(err, ErrNotServed) || !strings.Contains(err.Error(), "IPv4") || len(done) > 0 {
		t.Errorf("where no table of ours serves: %q, %v", done, err)
	}
	n.load(ours)
	done, err := n.remove()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(done, "\n")
	if !strings.Contains(text, "removed device kube-ipvs0") || (hasSets == nil) != strings.Contains(text, "removed 1 ipsets") {
		t.Errorf("it says %q; ipsets: %v", text, hasSets)
	}
	_ = n.Do(func() error {
		if _, err := netlink.LinkByName(ipvsDevice); err == nil {
			t.Error("the device is still there")
		}
		return nil
	})
}

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

package nft_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

var families = []model.Family{model.IPv4, model.IPv6}

// newNamespace is an empty network namespace for one test.
func newNamespace(tb testing.TB) *netns.Namespace {
	tb.Helper()
	prereq.Root(tb)
	ns, err := netns.New()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ns.Close() })
	return ns
}

func open(tb testing.TB, ns *netns.Namespace, family model.Family, opts nft.Options) *nft.Table {
	tb.Helper()
	var table *nft.Table
	err := ns.Do(func() (err error) {
		table, err = nft.Open(family, opts)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = table.Close() })
	return table
}

// tool runs the stock nft in ns, with input as its standard input.
func tool(tb testing.TB, ns *netns.Namespace, input string, args ...string) string {
	tb.Helper()
	path := prereq.Tool(tb, "nft", "nftables")
	cmd := exec.Command(path, args...)
	cmd.Stdin = strings.NewReader(input)
	var out []byte
	err := ns.Do(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		tb.Fatalf("nft %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func list(tb testing.TB, ns *netns.Namespace, family model.Family) string {
	tb.Helper()
	return tool(tb, ns, "", "list", "table", keyword(family), "switchyard")
}

func keyword(family model.Family) string {
	if family == model.IPv4 {
		return "ip"
	}
	return "ip6"
}

// ip is an address of the family: prefix 10.a or fd00:a, host b.
func ip(family model.Family, a, b int) netip.Addr {
	if family == model.IPv4 {
		return netip.AddrFrom4([4]byte{10, byte(a), byte(b >> 8), byte(b)})
	}
	return netip.MustParseAddr(fmt.Sprintf("fd00:%x::%x", a, b))
}

func node(family model.Family) policy.Node {
	n := policy.Node{Family: family, NodePortAddrs: []netip.Addr{ip(family, 100, 1), ip(family, 100, 2)}}
	bits := 16
	if family == model.IPv6 {
		bits = 32
	}
	n.LocalPods = []netip.Prefix{netip.PrefixFrom(ip(family, 1, 0), bits)}
	n.ServiceCIDRs = []netip.Prefix{netip.PrefixFrom(ip(family, 96, 0), bits), netip.PrefixFrom(ip(family, 97, 0), bits)}
	return n
}

// decision is ServicePort number i with n endpoints.
func decision(family model.Family, i, n int) policy.Decision {
	d := policy.Decision{
		Name:      model.ServicePortName{Namespace: "default", Name: fmt.Sprintf("s%05d", i), Port: "http", Protocol: model.TCP},
		Family:    family,
		Port:      80,
		ClusterIP: ip(family, 96, i+1),
	}
	for e := range n {
		d.Cluster = append(d.Cluster, netip.AddrPortFrom(ip(family, 1+i%8, i/8*16+e), 8080))
	}
	d.Near = d.Cluster
	return d
}

// mixture has every kind of ServicePort.
func mixture(family model.Family) []policy.Decision {
	web := decision(family, 1, 3)
	web.ExternalIPs = []netip.Addr{ip(family, 200, 1), ip(family, 200, 2)}
	web.NodePort = 30080
	dns := decision(family, 2, 5)
	dns.Name.Protocol, dns.Port = model.UDP, 53
	sctp := decision(family, 3, 1)
	sctp.Name.Protocol = model.SCTP
	empty := decision(family, 4, 0)
	empty.NodePort = 30081
	local := decision(family, 5, 4)
	local.NodePort, local.External, local.Local = 30082, policy.LocalScope, local.Cluster[:1]
	local.LoadBalancerIPs, local.Pooled = []netip.Addr{ip(family, 200, 5)}, true
	local.SourceRanges = []netip.Prefix{netip.PrefixFrom(ip(family, 201, 0), 24), netip.PrefixFrom(ip(family, 202, 9), ip(family, 202, 9).BitLen())}
	nowhere := decision(family, 6, 4)
	nowhere.Internal = policy.LocalScope
	closed := decision(family, 7, 0)
	closed.LoadBalancerIPs, closed.SourceRanges = []netip.Addr{ip(family, 200, 7)}, local.SourceRanges
	all := []policy.Decision{web, dns, sctp, empty, local, nowhere, closed}
	for i := range 20 { // ids over 0xf, too: nft writes them in hexadecimal
		all = append(all, decision(family, 10+i, i%3))
	}
	return all
}

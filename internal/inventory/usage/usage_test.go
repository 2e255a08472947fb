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

package usage

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/placeholder"
)

func service(name, ip string, ports ...int32) corev1.Service {
	s := corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: ip, ClusterIPs: []string{ip}},
	}
	for i, port := range ports {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Port: int32(80 + i), NodePort: port})
	}
	return s
}

func scene() *inventory.Index {
	edge := service("edge", "fd00::2")
	edge.Spec.ExternalIPs = []string{"192.0.2.1"}
	no := false
	inv := &inventory.Inventory{
		System: "switchyard-system", NodePorts: inventory.NodePorts{Span: allocator.DefaultNodePorts, From: inventory.FromServer},
		Services: []corev1.Service{
			service("web", "10.96.0.2", 30000, 30001, 30010), service("cart", "10.96.0.3", 30010), edge,
			*placeholder.Ports("switchyard-system", 32000),
		},
		ServiceCIDRs: []networkingv1.ServiceCIDR{{
			ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/29", "fd00::/64"}},
		}},
		PortPools: []v1alpha1.PortPool{
			{ObjectMeta: metav1.ObjectMeta{Name: "team-a"}, Spec: v1alpha1.PortPoolSpec{
				Priority: 9, Ranges: []v1alpha1.PortRange{"31990-32010"}, NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}},
			}},
			{ObjectMeta: metav1.ObjectMeta{Name: "team-b"}, Spec: v1alpha1.PortPoolSpec{
				AutoAssign: &no, Ranges: []v1alpha1.PortRange{"30001-30003", "32010-32020", "33000"},
			}},
		},
		AddressPools: []v1alpha1.AddressPool{{ObjectMeta: metav1.ObjectMeta{Name: "out"}, Spec: v1alpha1.AddressPoolSpec{
			Use: v1alpha1.UseExternalIP, Addresses: []v1alpha1.AddressRange{"192.0.2.0/30", "2001:db8::/126"},
			ServiceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "edge"}},
		}}},
		PortReservations: []v1alpha1.PortReservation{{ObjectMeta: metav1.ObjectMeta{Name: "32000"}}},
	}
	return inv.Index()
}

func TestCounts(t *testing.T) {
	report := Of(scene())
	line := func(name string, n Count) string {
		gap := "-"
		if n.LargestGap != nil {
			gap = fmt.Sprintf("%s-%s", n.LargestGap.First, n.LargestGap.Last)
		}
		return fmt.Sprintf("%s: %d = %d + %d + %d, %s, twice %v", name, n.Capacity, n.Allocated, n.Reserved, n.Free, gap, n.HeldTwice)
	}
	var got []string
	for _, r := range report.Ranges {
		got = append(got, line(r.Kind+" "+r.Range, r.Count))
	}
	for _, p := range report.Pools {
		got = append(got, line(fmt.Sprintf("%s %s", p.Name, p.Family), p.Count)+fmt.Sprintf(" %v %v %v", p.Ranges, p.Overlaps, p.Outside))
	}
	want := []string{
		"NodePorts 30000-32767: 2768 = 3 + 1 + 2764, 30011-31999, twice [30010]",
		"ServiceCIDR 10.96.0.0/29: 6 = 2 + 0 + 4, 10.96.0.4-10.96.0.6, twice []",
		"ServiceCIDR fd00::/64: 18446744073709551615 = 1 + 0 + 18446744073709551614, fd00::3-fd00::ffff:ffff:ffff:ffff, twice []",
		"team-a : 21 = 0 + 1 + 20, 31990-31999, twice [] [31990-32010] [] []",
		"team-b : 13 = 1 + 0 + 12, 32011-32020, twice [] [30001-30003 32011-32020] [{team-a 32010}] [33000]",
		"out IPv4: 4 = 1 + 0 + 3, 192.0.2.2-192.0.2.3, twice [] [192.0.2.0-192.0.2.3] [] []",
		"out IPv6: 4 = 0 + 0 + 4, 2001:db8::-2001:db8::3, twice [] [2001:db8::-2001:db8::3] [] []",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if p := report.Pools[0]; p.NamespaceSelector != "team=a" || p.Priority != 9 || !p.AutoAssign {
		t.Errorf("team-a is %+v", p)
	}
	if p := report.Pools[2]; p.NamespaceSelector != "*" || p.ServiceSelector != "tier=edge" {
		t.Errorf("out is %+v", p)
	}
}

func TestADisabledPoolSaysSo(t *testing.T) {
	inv := scene().Inventory
	inv.AddressPools[0].Spec.Disabled = true
	var out strings.Builder
	if err := Of(inv.Index()).Print(&out, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "ExternalIP IPv4, disabled") || strings.Count(out.String(), "disabled") != 2 {
		t.Errorf("the pool out is said to be otherwise:\n%s", out.String())
	}
}

func TestAClaimIsNotFree(t *testing.T) {
	inv := scene().Inventory
	for _, n := range []allocator.Number{
		allocator.PortNumber(30005), allocator.PortNumber(31995), allocator.PortNumber(30000), allocator.PortNumber(32000),
		allocator.AddrNumber(netip.MustParseAddr("10.96.0.5")),
	} {
		inv.Claims = append(inv.Claims, *allocator.ClaimLease("switchyard-system", allocator.Claim{Number: n}, "uid"))
	}
	var got []string
	report := Of(inv.Index())
	for _, r := range report.Ranges {
		got = append(got, fmt.Sprintf("%s %d claimed, %d free", r.Range, r.Claimed, r.Free))
	}
	for _, p := range report.Pools[:2] {
		got = append(got, fmt.Sprintf("%s %d claimed, %d free, %d at %s", p.Name, p.Claimed, p.Free, p.LargestGap.Count, p.LargestGap.First))
	}
	want := []string{ // 30000 is held, and 32000 reserved
		"30000-32767 2 claimed, 2762 free", "10.96.0.0/29 1 claimed, 3 free", "fd00::/64 0 claimed, 18446744073709551614 free",
		"team-a 1 claimed, 19 free, 10 at 32001", "team-b 0 claimed, 12 free, 10 at 32011",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestTables(t *testing.T) {
	x := scene()
	x.NodePorts.From = inventory.Assumed
	x.Unread = []inventory.Unread{{Kind: inventory.Claims, Message: "you may not list claims"}}
	for wide, want := range map[bool]string{
		false: `RANGE        OF                      CAPACITY  USED  RESERVED  CLAIMED  FREE     LARGEST GAP                 CONFLICTS
30000-32767  NodePorts               2768      3     1         0        2764     1989 at 30011               30010 held twice
10.96.0.0/29  ServiceCIDR kubernetes  6         2     0         0        4        3 at 10.96.0.4              -
fd00::/64    ServiceCIDR kubernetes  1.8e+19   1     0         0        1.8e+19  1.8e+19 at fd00::3          -

POOL    FOR              CAPACITY  USED  RESERVED  CLAIMED  FREE  LARGEST GAP          CONFLICTS
team-a  NodePorts        21        0     1         0        20    10 at 31990          -
team-b  NodePorts        13        1     0         0        12    10 at 32011          32010 is team-a's, 33000 out of range
out     ExternalIP IPv4  4         1     0         0        3     2 at 192.0.2.2       -
out     ExternalIP IPv6  4         0     0         0        4     4 at 2001:db8::      -
assumed: the API server's range of NodePorts is 30000-32767, as neither its flags (/flagz) nor the manager's can be read; --service-node-port-range names another
not counted: you may not list claims
`,
		true: `RANGE        OF                      CAPACITY  USED  RESERVED  CLAIMED  FREE     LARGEST GAP                 CONFLICTS
30000-32767  NodePorts               2768      3     1         0        2764     1989 at 30011               30010 held twice
10.96.0.0/29  ServiceCIDR kubernetes  6         2     0         0        4        3 at 10.96.0.4              -
fd00::/64    ServiceCIDR kubernetes  1.8e+19   1     0         0        1.8e+19  1.8e+19 at fd00::3          -

POOL    FOR              CAPACITY  USED  RESERVED  CLAIMED  FREE  LARGEST GAP   CONFLICTS  PRIORITY AUTO NAMESPACES SERVICES RANGES
team-a  NodePorts        21        0     1         0        20    10 at 31990   -   9 true team=a - 31990-32010
team-b  NodePorts        13        1     0         0        12    10 at 32011   32010 is team-a's, 33000 out of range 0 false * - 30001-30003,32011-32020
out     ExternalIP IPv4  4         1     0         0        3     2 at 192.0.2.2  - 0 true * tier=edge 192.0.2.0-192.0.2.3
out     ExternalIP IPv6  4         0     0         0        4     4 at 2001:db8:: - 0 true * tier=edge 2001:db8::-2001:db8::3
assumed: the API server's range of NodePorts is 30000-32767, as neither its flags (/flagz) nor the manager's can be read; --service-node-port-range names another
not counted: you may not list claims
`,
	} {
		var out strings.Builder
		if err := Of(x).Print(&out, wide); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(collapse(want), collapse(out.String())); diff != "" {
			t.Errorf("wide %v (-want +got):\n%s\n%s", wide, diff, out.String())
		}
	}
}

// collapse leaves the width of columns open.
func collapse(text string) []string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	return lines
}

func TestTheMapFitsAndLosesNoPort(t *testing.T) {
	m := MapOf(scene())
	for width := 20; width <= 300; width += 7 {
		for _, plain := range []bool{false, true} {
			text := m.Draw(width, plain)
			rows := 0
			for line := range strings.SplitSeq(text, "\n") {
				if n := utf8.RuneCountInString(line); n > max(width, narrowest) {
					t.Fatalf("width %d: a line of %d columns:\n%s", width, n, text)
				}
				if len(line) > 6 && line[5:7] == "  " && line[0] == '3' {
					rows++
				}
			}
			if rows == 0 || rows > mostRows {
				t.Fatalf("width %d: %d rows:\n%s", width, rows, text)
			}
			if plain && strings.ContainsFunc(text, func(r rune) bool { return r > 126 }) {
				t.Fatalf("not ASCII:\n%s", text)
			}
			if strings.Count(text, "!") != 2 || strings.Count(strings.Split(text, " free")[0], "r") < 1 { // once drawn, once in the legend
				t.Fatalf("width %d: it does not show what is held twice or reserved:\n%s", width, text)
			}
		}
	}
}

func TestTheMapOfASmallRange(t *testing.T) {
	x := scene()
	x.Inventory.NodePorts.Span = allocator.PortSpan{First: 30000, Last: 30019}
	m := MapOf(x.Inventory.Index())
	want := "NodePorts 30000-30019, one a character\n" +
		"30000  ██········!·········\n" +
		"        bbb\n" +
		"· free  ░▒▓ partly held  █ held  r reserved\nc claimed  ! held twice  a pool team-a\nb pool team-b\n"
	if diff := cmp.Diff(want, m.Draw(48, false)); diff != "" {
		t.Errorf("map (-want +got):\n%s", diff)
	}
	// Four ports a character, of which 1, 2, 3 and 4 are held.
	full := Map{span: allocator.PortSpan{First: 1, Last: 65535}, held: map[int32]int{}}
	text := full.Draw(80, true)
	if lines := strings.Split(text, "\n"); len(lines) > mostRows+3 || !strings.HasPrefix(lines[1], "    1  ....") {
		t.Errorf("all ports are\n%s", text)
	}
}

func TestTheMapShowsWhatIsClaimed(t *testing.T) {
	inv := scene().Inventory
	for _, port := range []int32{30000, 30005, 32000} { // of which one is held, and one reserved
		inv.Claims = append(inv.Claims, *allocator.ClaimLease("switchyard-system", allocator.Claim{Number: allocator.PortNumber(port)}, "uid"))
	}
	m := MapOf(inv.Index())
	for port, want := range map[int32]rune{30000: '#', 30005: 'c', 32000: 'r', 30006: '.'} {
		if got := m.sign(port, port, ascii); got != want {
			t.Errorf("%d is %c, want %c", port, got, want)
		}
	}
	if got := m.sign(30002, 30009, ascii); got != 'c' {
		t.Errorf("of eight of which one is claimed and none held, %c", got)
	}
	if got := m.sign(30000, 30007, ascii); got != '-' {
		t.Errorf("of eight of which one is claimed and two are held, %c", got)
	}
}

func TestSignsByDegree(t *testing.T) {
	for held, want := range []rune{'.', '-', '=', '*', '#'} {
		m := Map{held: map[int32]int{}}
		for port := range held {
			m.held[int32(port)+1] = 1
		}
		if got := m.sign(1, 4, ascii); got != want {
			t.Errorf("%d of 4 held is %c, want %c", held, got, want)
		}
	}
}

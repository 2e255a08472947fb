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
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// sorted is a listing without the order of elements, which is the kernel's own.
func sorted(listing string) map[string]int {
	words := map[string]int{}
	for _, word := range strings.FieldsFunc(listing, func(r rune) bool { return strings.ContainsRune("\n,{}", r) }) {
		words[strings.TrimSpace(word)]++
	}
	return words
}

func fullSync(tb testing.TB, table *nft.Table, n policy.Node, desired []policy.Decision) nft.Result {
	tb.Helper()
	result, err := table.FullSync(context.Background(), n, desired)
	if err != nil {
		tb.Fatal(err)
	}
	return result
}

func TestWhatAForeignHandChangedIsRepaired(t *testing.T) {
	for _, family := range families {
		table := keyword(family) + " switchyard"
		vip := ip(family, 96, 2).String()
		for name, tc := range map[string]struct {
			damage    string
			recreated bool
		}{
			"the whole ruleset flushed":   {"flush ruleset", true},
			"the table deleted":           {"delete table " + table, true},
			"elements flushed":            {"flush map " + table + " endpoints", false},
			"one element deleted":         {"delete element " + table + " frontends { " + vip + " . tcp . 80 }", false},
			"an element that leads wrong": {"delete element " + table + " frontends { " + vip + " . tcp . 80 }; add element " + table + " frontends { " + vip + " . tcp . 80 : 0:3 }", false},
			"an element of a foreign id":  {"add element " + table + " frontends { " + vip + " . tcp . 99 : ffff:fff0 }", false},
			"a class that drops":          {"add element " + table + " classes { 7:7 : drop }", false},
			"local pods widened":          {"flush set " + table + " local-pods", false},
			"a rule flushed":              {"flush chain " + table + " services", true},
			"a rule added":                {"add rule " + table + " find-service drop", true},
			"a rule in the way":           {"insert rule " + table + " nat-prerouting return", true},
			"a chain added":               {"add chain " + table + " mine", true},
			"a set added":                 {"add set " + table + " mine { type mark; }", true},
			"the table put to sleep":      {"add table " + table + " { flags dormant; }", true},
		} {
			t.Run(family.String()+" "+name, func(t *testing.T) {
				repairs(t, family, mixture, tc.damage, tc.recreated)
			})
		}
	}
}

// repairs damages a table that holds what is desired, and wants it back as it
// was, written anew or not, by one full sync.
func repairs(t *testing.T, family model.Family, desired func(model.Family) []policy.Decision, damage string, recreated bool) {
	t.Helper()
	ns := newNamespace(t)
	ours := open(t, ns, family, nft.Options{})
	fullSync(t, ours, node(family), desired(family))
	want := sorted(list(t, ns, family))
	tool(t, ns, damage, "-f", "-")
	if result := fullSync(t, ours, node(family), desired(family)); result.Recreated != recreated || result.Transactions == 0 {
		t.Errorf("repair: %+v", result)
	}
	if diff := cmp.Diff(want, sorted(list(t, ns, family))); diff != "" {
		t.Errorf("-before +after the repair:\n%s", diff)
	}
	if result := fullSync(t, ours, node(family), desired(family)); result.Transactions != 0 {
		t.Errorf("the next full sync changes again: %+v", result)
	}
}

func TestTheNodeChanges(t *testing.T) {
	for _, family := range families {
		ns := newNamespace(t)
		ours := open(t, ns, family, nft.Options{})
		fullSync(t, ours, node(family), mixture(family))
		for name, change := range map[string]func(n *policy.Node){
			"no pods known":  func(n *policy.Node) { n.LocalPods = nil },
			"masquerade all": func(n *policy.Node) { n.MasqueradeAll = true },
			"wider pods":     func(n *policy.Node) { n.LocalPods[0], _ = n.LocalPods[0].Addr().Prefix(8) },
			"no NodePorts":   func(n *policy.Node) { n.NodePortAddrs = nil },
			"as it was":      func(*policy.Node) {},
		} {
			n := node(family)
			change(&n)
			if result := fullSync(t, ours, n, mixture(family)); result.Recreated {
				t.Errorf("%s %s: %+v", family, name, result)
			}
			if result := fullSync(t, open(t, ns, family, nft.Options{}), n, mixture(family)); result.Transactions != 0 {
				t.Errorf("%s %s: another process would change %+v", family, name, result)
			}
		}
	}
}

func TestAFailedTransactionLeavesTheTableWhole(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			ns := newNamespace(t)
			ours := open(t, ns, family, nft.Options{})
			fullSync(t, ours, node(family), mixture(family))
			// Someone adds the element that the next change is to add.
			next := decision(family, 50, 2)
			tool(t, ns, "add element "+keyword(family)+" switchyard cluster-frontends { "+next.ClusterIP.String()+" . tcp . 80 }", "-f", "-")
			before := list(t, ns, family)
			_, err := ours.Apply(context.Background(), []policy.Decision{next}, nil)
			if !errors.Is(err, unix.EEXIST) {
				t.Fatalf("got %v, want that it exists", err)
			}
			if diff := cmp.Diff(before, list(t, ns, family)); diff != "" {
				t.Errorf("the table changed (-before +after):\n%s", diff)
			}
			if _, err := ours.Apply(context.Background(), nil, nil); !errors.Is(err, nft.ErrNotSynced) {
				t.Errorf("the next Apply: %v, want %v", err, nft.ErrNotSynced)
			}
			fullSync(t, ours, node(family), append(mixture(family), next))
			if _, err := ours.Apply(context.Background(), nil, []model.ServicePortName{next.Name}); err != nil {
				t.Errorf("after a full sync: %v", err)
			}
		})
	}
}

func TestForeignTablesAreLeftAlone(t *testing.T) {
	const foreign = `
table inet switchyard {
	set frontends {
		type ipv4_addr
		elements = { 10.0.0.1 }
	}
}
table ip kube-proxy {
	chain nat-prerouting {
		type nat hook prerouting priority -100;
		ip daddr 10.0.0.1 dnat to 10.0.0.2
	}
}
table ip6 switchyard-mine {
	counter c {
	}
}
`
	ns := newNamespace(t)
	tool(t, ns, foreign, "-f", "-")
	before := tool(t, ns, "", "list", "ruleset")
	for _, family := range families {
		ours := open(t, ns, family, nft.Options{})
		fullSync(t, ours, node(family), mixture(family))
		tool(t, ns, "add chain "+keyword(family)+" switchyard mine", "-f", "-")
		fullSync(t, ours, node(family), mixture(family))
	}
	for range 2 { // cleaning what is clean is success
		if err := ns.Do(func() error { return nft.Cleanup(context.Background(), families) }); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, tool(t, ns, "", "list", "ruleset")); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
}

func TestMissingCapabilityIsNamed(t *testing.T) {
	ns := newNamespace(t)
	err := ns.Do(func() error {
		// This thread ends with the function, and its credentials with it.
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			return err
		}
		_, tableErr := nft.Open(model.IPv4, nft.Options{})
		_, cleanerErr := conntrack.NewCleaner()
		for _, err := range []error{tableErr, cleanerErr} {
			if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
				t.Errorf("got %v, want one that names CAP_NET_ADMIN", err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestACancelledContextChangesNothing(t *testing.T) {
	ns := newNamespace(t)
	ours := open(t, ns, model.IPv4, nft.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := ours.FullSync(ctx, node(model.IPv4), mixture(model.IPv4)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := strings.TrimSpace(tool(t, ns, "", "list", "ruleset")); got != "" {
		t.Errorf("something was written:\n%s", got)
	}
}

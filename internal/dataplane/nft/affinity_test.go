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
	"net/netip"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// scheduled has a ServicePort of every scheduler, and two with affinity.
func scheduled(family model.Family) []policy.Decision {
	plain, sticky, brief := decision(family, 1, 3), decision(family, 2, 5), decision(family, 3, 4)
	maglev, weighted := decision(family, 4, 2), decision(family, 5, 3)
	sticky.Affinity, sticky.NodePort = 3*time.Hour, 30080
	sticky.External, sticky.Local = policy.LocalScope, sticky.Cluster[:2]
	brief.Affinity, brief.Name.Protocol = 61*time.Second, model.UDP
	maglev.Scheduler = model.Maglev
	weighted.Scheduler, weighted.Weights = model.Weighted, map[netip.AddrPort]uint16{weighted.Cluster[1]: 5}
	return []policy.Decision{plain, sticky, brief, maglev, weighted}
}

var remaining = regexp.MustCompile(`expires \w+`)

func TestLivePinsAreListedLoadedAndLeftAlone(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			ns, elsewhere := newNamespace(t), newNamespace(t)
			ours := open(t, ns, family, nft.Options{})
			fullSync(t, ours, node(family), scheduled(family))
			tool(t, ns, "add element "+keyword(family)+" switchyard affinity { 0:2 . 77 timeout 3h : 10:2, 0:2 . 1048575 timeout 3h : 20:2 }", "-f", "-")
			listed := list(t, ns, family)
			if n := len(remaining.FindAllString(listed, -1)); n != 2 {
				t.Fatalf("%d live pins in\n%s", n, listed)
			}
			tool(t, elsewhere, listed, "-f", "-")
			ageless := func(text string) string { return remaining.ReplaceAllString(text, "") }
			if diff := cmp.Diff(ageless(listed), ageless(list(t, elsewhere, family))); diff != "" {
				t.Errorf("a loaded list prints differently (-ours +loaded):\n%s", diff)
			}
			if result := fullSync(t, open(t, elsewhere, family, nft.Options{}), node(family), scheduled(family)); result.Transactions != 0 {
				t.Errorf("adopting what nft loaded changed it: %+v", result)
			}
			if result := fullSync(t, ours, node(family), scheduled(family)); result.Transactions != 0 {
				t.Errorf("a full sync changed it: %+v", result)
			}
			if n := len(remaining.FindAllString(list(t, ns, family), -1)); n != 2 {
				t.Errorf("%d live pins are left", n)
			}
		})
	}
}

func TestForeignChangesToAffinityAreRepaired(t *testing.T) {
	for _, family := range families {
		table := keyword(family) + " switchyard"
		for name, tc := range map[string]struct {
			damage    string
			recreated bool
		}{
			"sticky elements flushed":         {"flush map " + table + " sticky", false},
			"draws flushed":                   {"flush map " + table + " draws", false},
			"spreads flushed":                 {"flush map " + table + " spreads", false},
			"all classes flushed":             {"flush map " + table + " classes", false},
			"a timeout's chain deleted":       {"flush map " + table + " classes; delete chain " + table + " sticky-61", false},
			"a chain of a timeout added":      {"add chain " + table + " sticky-77", true},
			"a timeout's chain emptied":       {"flush chain " + table + " sticky-61", true},
			"a rule in a timeout's chain":     {"insert rule " + table + " sticky-61 drop", true},
			"a class that leads elsewhere":    {"flush map " + table + " classes; add element " + table + " classes { 200:0 : drop }", false},
			"an entry of a Maglev table bent": {"flush map " + table + " endpoints", false},
		} {
			t.Run(family.String()+" "+name, func(t *testing.T) {
				repairs(t, family, scheduled, tc.damage, tc.recreated)
			})
		}
	}
}

func TestChainsOfTimeoutsComeAndGoWithTheirUsers(t *testing.T) {
	for _, family := range families {
		ns := newNamespace(t)
		ours := open(t, ns, family, nft.Options{})
		fullSync(t, ours, node(family), nil)
		d := decision(family, 1, 3)
		for _, step := range []struct {
			timeout time.Duration
			want    []string
		}{
			{time.Minute, []string{"chain sticky-60"}},
			{time.Hour, []string{"chain sticky-3600"}},
			{0, nil},
			{24 * time.Hour, []string{"chain sticky-86400"}},
		} {
			d.Affinity = step.timeout
			if _, err := ours.Apply(context.Background(), []policy.Decision{d}, nil); err != nil {
				t.Fatalf("%s %s: %v", family, step.timeout, err)
			}
			got := regexp.MustCompile(`chain sticky-\d+`).FindAllString(list(t, ns, family), -1)
			if !slices.Equal(got, step.want) {
				t.Errorf("%s %s: %q, want %q", family, step.timeout, got, step.want)
			}
			if result := fullSync(t, open(t, ns, family, nft.Options{}), node(family), []policy.Decision{d}); result.Transactions != 0 {
				t.Errorf("%s %s: a restart changes %+v", family, step.timeout, result)
			}
		}
	}
}

// BenchmarkApplyOneStickyEndpoint replaces one of 100 endpoints of a Service
// with affinity, planned, committed and acknowledged.
func BenchmarkApplyOneStickyEndpoint(b *testing.B) {
	d := decision(model.IPv4, 1, 100)
	d.Affinity = 3 * time.Hour
	table := open(b, newNamespace(b), model.IPv4, nft.Options{})
	fullSync(b, table, node(model.IPv4), []policy.Decision{d})
	other := d
	other.Cluster = slices.Clone(d.Cluster)
	other.Cluster[99] = netip.AddrPortFrom(ip(model.IPv4, 99, 1), 8080)
	b.ReportAllocs()
	edits := 0
	for n := 0; b.Loop(); n++ {
		next := []policy.Decision{other, d}[n%2]
		result, err := table.Apply(context.Background(), []policy.Decision{next}, nil)
		if err != nil {
			b.Fatal(err)
		}
		edits += result.Added + result.Deleted + result.Replaced
	}
	b.ReportMetric(float64(edits)/float64(b.N), "edits/op")
}

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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/netns"
)

func TestForeignChangesAreNoticed(t *testing.T) {
	ns := newNamespace(t)
	tables := map[model.Family]*nft.Table{}
	for _, family := range families {
		tables[family] = open(t, ns, family, nft.Options{})
		fullSync(t, tables[family], node(family), mixture(family))
	}
	news := watch(t, ns.Do, tables[model.IPv4], tables[model.IPv6])
	for _, step := range []struct {
		foreign string
		want    model.Family
	}{
		{"add element ip6 switchyard node-addresses { fd00:99::1 }", model.IPv6},
		{"add element ip switchyard node-addresses { 10.99.0.1 }", model.IPv4},
		{"flush chain ip6 switchyard services", model.IPv6},
		{"delete table ip switchyard", model.IPv4},
	} {
		// Our own change of the other family, and one to a foreign table of
		// that family and name, come first and are no news.
		other := model.IPv4 + model.IPv6 - step.want
		fullSync(t, tables[other], node(other), mixture(other))
		if _, err := tables[other].Apply(context.Background(), []policy.Decision{decision(other, 60, 3)}, nil); err != nil {
			t.Fatal(err)
		}
		tool(t, ns, "add table "+keyword(other)+" switchyard-mine; add table inet switchyard", "-f", "-")
		tool(t, ns, step.foreign, "-f", "-")
		if got := next(t, news); got != step.want {
			t.Errorf("%s: news of %s", step.foreign, got)
		}
		drain(news)
	}
}

func TestAForeignChangeIsRepairedExactlyAndOnce(t *testing.T) {
	for _, family := range families {
		other := model.IPv4 + model.IPv6 - family
		table, vip := keyword(family)+" switchyard", ip(family, 96, 2).String()
		for name, damage := range map[string]string{
			"flush ruleset":  "flush ruleset; add table " + keyword(other) + " switchyard",
			"delete table":   "delete table " + table,
			"delete chain":   "flush chain " + table + " nat-output; delete chain " + table + " nat-output",
			"delete rule":    "delete rule " + table + " find-service handle HANDLE",
			"delete set":     "flush chain " + table + " translated; delete set " + table + " hairpin",
			"delete element": "delete element " + table + " frontends { " + vip + " . tcp . 80 }",
			"add element":    "add element " + table + " node-addresses { " + ip(family, 99, 1).String() + " }",
			"bend element":   "delete element " + table + " frontends { " + vip + " . tcp . 80 }; add element " + table + " frontends { " + vip + " . tcp . 80 : 0:3 }",
		} {
			t.Run(family.String()+" "+name, func(t *testing.T) {
				ns := newNamespace(t)
				ours, theirs := open(t, ns, family, nft.Options{}), open(t, ns, other, nft.Options{})
				fullSync(t, ours, node(family), mixture(family))
				fullSync(t, theirs, node(other), nil)
				want := sorted(list(t, ns, family))
				news := watch(t, ns.Do, ours, theirs)
				tool(t, ns, strings.ReplaceAll(damage, "HANDLE", ruleHandle(t, ns, family, "find-service")), "-f", "-")
				// News comes in order: before that of this change to the other
				// family comes all that there is of ours.
				tool(t, ns, "add chain "+keyword(other)+" switchyard mine", "-f", "-")
				last := 1 + strings.Count(damage, "add table")
				syncs := 0
				for others := 0; others < last; {
					if next(t, news) == other {
						others++
						continue
					}
					syncs++
					fullSync(t, ours, node(family), mixture(family))
				}
				if syncs != 1 {
					t.Errorf("%d full syncs", syncs)
				}
				if diff := cmp.Diff(want, sorted(list(t, ns, family))); diff != "" {
					t.Errorf("-before +after the repair:\n%s", diff)
				}
			})
		}
	}
}

// ruleHandle is the kernel's number of the first rule of a chain.
func ruleHandle(t *testing.T, ns *netns.Namespace, family model.Family, chain string) string {
	t.Helper()
	listed := tool(t, ns, "", "-a", "list", "chain", keyword(family), "switchyard", chain)
	_, rules, _ := strings.Cut(listed, "{ # handle ") // the chain's own
	_, handle, ok := strings.Cut(rules, "# handle ")
	if !ok {
		t.Fatalf("no rule in %s", listed)
	}
	handle, _, _ = strings.Cut(handle, "\n")
	return handle
}

// watch delivers news until the test ends.
func watch(t *testing.T, in func(func() error) error, tables ...*nft.Table) chan model.Family {
	t.Helper()
	var watcher *nft.Watcher
	if err := in(func() (err error) {
		watcher, err = nft.Watch(tables...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	news := make(chan model.Family, 10_000)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- watcher.Run(ctx, func(f model.Family) { news <- f }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the watcher ended with %v", err)
		}
	})
	return news
}

// next waits for news.
func next(t *testing.T, news <-chan model.Family) model.Family {
	t.Helper()
	select {
	case family := <-news:
		return family
	case <-time.After(3 * time.Minute):
		t.Fatal("no news")
		return 0
	}
}

func drain(news chan model.Family) {
	for len(news) > 0 {
		<-news
	}
}

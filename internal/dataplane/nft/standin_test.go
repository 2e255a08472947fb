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

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl/nfnltest"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
	"switchyard.dev/switchyard/internal/netns"
)

// A connection that is lost is sent again, so a test of clients hardly ever sees
// it. Here, each packet is one.
func TestNoConnectionIsLostWhileTablesAreReplaced(t *testing.T) {
	const times = 60
	f := newFlood(t)
	one := open(t, f.node, model.IPv4, nft.Options{})
	other := open(t, f.node, model.IPv4, nft.Options{Features: everyFeature})
	desired := []policy.Decision{f.service}
	fullSync(t, one, node(model.IPv4), desired)
	arrived, lost := f.during(func() {
		for range times {
			f.busyNeighbour()
			one, other = other, one
			if result := fullSync(t, one, node(model.IPv4), desired); !result.Recreated {
				t.Errorf("not replaced: %+v", result)
			}
		}
	})
	if lost > 0 || arrived < 100*times {
		t.Errorf("%d of %d connections were lost", lost, arrived)
	}
}

// The kernel holds a table that serves whenever an agent ends, and the next one
// goes on from there.
func TestAReplacementThatWasCutShortIsCompleted(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			for commits := 0; ; commits++ {
				ns := newNamespace(t)
				fullSync(t, open(t, ns, family, nft.Options{}), node(family), mixture(family))
				faults := &nfnltest.Faults{}
				replaces := open(t, ns, family, nft.Options{Features: everyFeature, Dial: faults.Dial})
				faults.Add(nfnltest.Commit, 0, commits)
				faults.Add(nfnltest.Commit, unix.EPERM, 1)
				_, err := replaces.FullSync(context.Background(), node(family), mixture(family))
				if faults.Left() > 0 {
					if commits < 6 || err != nil {
						t.Errorf("after %d transactions: %v", commits, err)
					}
					return
				}
				if !errors.Is(err, unix.EPERM) {
					t.Fatalf("cut short after %d transactions: %v", commits, err)
				}
				if !serves(t, ns, family, "switchyard") && !serves(t, ns, family, "switchyard-stand-in") {
					t.Errorf("no table serves when cut short after %d transactions", commits)
				}
				_ = replaces.Close()
				features := everyFeature
				if commits%2 == 0 {
					features = policy.Features{AnswerEcho: true} // a third version
				}
				next := open(t, ns, family, nft.Options{Features: features})
				fullSync(t, next, node(family), mixture(family))
				expectSynced(t, next, family, mixture(family))
				expectNoStandIn(t, ns)
			}
		})
	}
}

// Each agent that goes on is of another version than the one before, and is cut short
// as well, one transaction later.
func TestAgentsThatAreCutShortInTurnLeaveATableThatServes(t *testing.T) {
	versions := []policy.Features{everyFeature, {AnswerEcho: true}, {CountConnections: true}}
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			for commits := 4; commits < 9; commits++ {
				ns := newNamespace(t)
				fullSync(t, open(t, ns, family, nft.Options{}), node(family), mixture(family))
				for i := 0; ; i++ {
					faults := &nfnltest.Faults{}
					next := open(t, ns, family, nft.Options{Features: versions[i%len(versions)], Dial: faults.Dial})
					after := i
					if i == 0 {
						after = commits
					}
					faults.Add(nfnltest.Commit, 0, after)
					faults.Add(nfnltest.Commit, unix.EPERM, 1)
					_, err := next.FullSync(context.Background(), node(family), mixture(family))
					_ = next.Close()
					if faults.Left() > 0 && err == nil {
						break
					}
					if !errors.Is(err, unix.EPERM) {
						t.Fatal(err)
					}
					if !serves(t, ns, family, "switchyard") && !serves(t, ns, family, "switchyard-stand-in") {
						t.Errorf("no table serves when agent %d is cut short after %d transactions, the first one having been after %d", i+1, after, commits)
					}
				}
				expectNoStandIn(t, ns)
			}
		})
	}
}

// serves says whether a table has all it needs for the first Service.
func serves(t *testing.T, ns *netns.Namespace, family model.Family, table string) bool {
	t.Helper()
	if !strings.Contains(tool(t, ns, "", "list", "tables")+"\n", keyword(family)+" "+table+"\n") {
		return false
	}
	part := func(kind, name string) string { return tool(t, ns, "", "list", kind, keyword(family), table, name) }
	return strings.Contains(part("chain", "nat-prerouting"), "goto find-service") &&
		strings.Contains(part("chain", "nat-postrouting"), "goto translated") &&
		strings.Contains(part("map", "frontends"), mixture(family)[0].ClusterIP.String()+" ") &&
		strings.Contains(part("map", "endpoints"), mixture(family)[0].Cluster[0].Addr().String()+" ")
}

func expectNoStandIn(t *testing.T, ns *netns.Namespace) {
	t.Helper()
	if tables := tool(t, ns, "", "list", "tables"); strings.Contains(tables, "stand-in") {
		t.Errorf("a stand-in was left: %s", tables)
	}
}

// A stand-in can be all there is for a moment, so it has to be plain nft, too.
func TestAStandInIsListedAndLoadedBack(t *testing.T) {
	for _, family := range families {
		ns, elsewhere := newNamespace(t), newNamespace(t)
		fullSync(t, open(t, ns, family, nft.Options{}), node(family), mixture(family))
		faults := &nfnltest.Faults{}
		faults.Add(nfnltest.Commit, 0, 4) // the schema, what every table has, source ranges, Services
		faults.Add(nfnltest.Commit, unix.EPERM, 1)
		replaces := open(t, ns, family, nft.Options{Features: everyFeature, Dial: faults.Dial})
		if _, err := replaces.FullSync(context.Background(), node(family), mixture(family)); !errors.Is(err, unix.EPERM) {
			t.Fatal(err)
		}
		listed := tool(t, ns, "", "list", "table", keyword(family), "switchyard-stand-in")
		tool(t, elsewhere, listed, "-f", "-")
		loaded := tool(t, elsewhere, "", "list", "table", keyword(family), "switchyard-stand-in")
		if diff := cmp.Diff(sorted(listed), sorted(loaded)); diff != "" {
			t.Errorf("-ours +loaded:\n%s", diff)
		}
		schema := ruleset.NewSchema(family, everyFeature).StandIn()
		for _, c := range schema.Chains {
			if c.Hook != nil && !strings.Contains(listed, "hook "+c.Hook.Point+" priority "+c.Hook.PriorityText+";") {
				t.Errorf("%s: nft does not print its priority as %s", c.Name, c.Hook.PriorityText)
			}
		}
		// It goes with the table.
		err := ns.Do(func() error { return nft.Cleanup(context.Background(), families) })
		if err != nil {
			t.Error(err)
		}
		expectNoStandIn(t, ns)
	}
}

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
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

var protected = nft.Options{Protect: true}

// openProtected needs a kernel that protects (Linux 6.9).
func openProtected(tb testing.TB, ns *netns.Namespace, family model.Family) *nft.Table {
	tb.Helper()
	table := open(tb, ns, family, protected)
	prereq.Kernel(tb, table.Protected(), "nftables tables with an owner that persist", "6.9")
	return table
}

// refused runs the stock nft, which has to fail with EPERM.
func refused(tb testing.TB, ns *netns.Namespace, input string) {
	tb.Helper()
	cmd := exec.Command(prereq.Tool(tb, "nft", "nftables"), "-f", "-")
	cmd.Stdin = strings.NewReader(input)
	var out []byte
	err := ns.Do(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	if err == nil || !strings.Contains(string(out), "Operation not permitted") {
		tb.Errorf("nft %q: %v, %s, want that it is not permitted", input, err, out)
	}
}

func TestAProtectedTableIsOutOfReachForOthers(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			ns := newNamespace(t)
			ours := openProtected(t, ns, family)
			fullSync(t, ours, node(family), mixture(family))
			want := sorted(list(t, ns, family))
			table := keyword(family) + " switchyard"
			for _, attempt := range []string{
				"delete table " + table,
				"flush table " + table,
				"flush chain " + table + " services",
				"add rule " + table + " find-service drop",
				"flush map " + table + " endpoints",
				"add element " + table + " node-addresses { " + ip(family, 99, 1).String() + " }",
				"add table " + table + " { flags dormant; }",
			} {
				refused(t, ns, attempt)
			}
			tool(t, ns, "table inet mine {\n}\nflush ruleset", "-f", "-")
			if diff := cmp.Diff(want, sorted(list(t, ns, family))); diff != "" {
				t.Errorf("the table changed all the same (-before +after):\n%s", diff)
			}
			if left := tool(t, ns, "", "list", "tables"); strings.Contains(left, "mine") {
				t.Errorf("the flush did not happen: %s", left)
			}
			// The owner itself goes on as ever.
			if _, err := ours.Apply(context.Background(), []policy.Decision{decision(family, 60, 3)}, nil); err != nil {
				t.Error(err)
			}
			if result := fullSync(t, ours, node(family), mixture(family)); result.Recreated || result.Deleted == 0 {
				t.Errorf("%+v", result)
			}
		})
	}
}

func TestANewAgentTakesOverWhatTheOldOneLeft(t *testing.T) {
	for _, family := range families {
		for name, tc := range map[string]struct {
			before, after nft.Options
			// recreated says whether the kernel needs the table made anew for it.
			recreated bool
		}{
			"protected as before":     {protected, protected, false},
			"protection switched on":  {nft.Options{}, protected, true},
			"protection switched off": {protected, nft.Options{}, true},
			"unprotected as before":   {nft.Options{}, nft.Options{}, false},
		} {
			t.Run(family.String()+" "+name, func(t *testing.T) {
				ns := newNamespace(t)
				_ = openProtected(t, ns, family).Close()
				old := open(t, ns, family, tc.before)
				fullSync(t, old, node(family), mixture(family))
				_ = old.Close()
				left := list(t, ns, family) // an orphan can be listed
				next := open(t, ns, family, tc.after)
				result := fullSync(t, next, node(family), mixture(family))
				if result.Recreated != tc.recreated {
					t.Errorf("recreated %v, want %v", result.Recreated, tc.recreated)
				}
				expectNoStandIn(t, ns)
				if diff := cmp.Diff(bare(left), bare(list(t, ns, family))); diff != "" {
					t.Errorf("-old +new:\n%s", diff)
				}
				if again := fullSync(t, next, node(family), mixture(family)); again.Transactions > 0 || again.Recreated {
					t.Errorf("the next full sync changes again: %+v", again)
				}
				attempt := "add chain " + keyword(family) + " switchyard mine"
				if next.Protected() {
					refused(t, ns, attempt)
				} else {
					tool(t, ns, attempt, "-f", "-")
				}
			})
		}
	}
}

// bare is a listing without the table's flags and owner, and without the order
// of elements. nft 1.0.6 has no word for persist and prints "flags" alone.
func bare(listing string) map[string]int {
	words := sorted(listing)
	for word := range words {
		if strings.HasPrefix(word, "flags") && word != "flags interval" || strings.HasPrefix(word, "#") {
			delete(words, word)
		}
	}
	return words
}

func TestASecondAgentIsToldWhoseTableItIs(t *testing.T) {
	for _, family := range families {
		ns := newNamespace(t)
		first := openProtected(t, ns, family)
		fullSync(t, first, node(family), mixture(family))
		second := open(t, ns, family, protected)
		want := fmt.Sprintf("nftables %s: table %s switchyard is protected by process %d (%s), only that can change it: stop it first",
			family, keyword(family), os.Getpid(), command(t))
		err := ns.Do(func() error {
			_, err := second.FullSync(context.Background(), node(family), mixture(family))
			return err
		})
		var owned *nft.OwnedError
		if !errors.As(err, &owned) || !errors.Is(err, unix.EPERM) || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		// It is not stuck: once the first has ended, it has the table.
		_ = first.Close()
		if result := fullSync(t, second, node(family), mixture(family)); result.Recreated || result.Transactions > 0 {
			t.Errorf("taking over wrote %+v", result)
		}
	}
}

func command(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(name))
}

func TestCleanupLeavesALivingAgentItsTable(t *testing.T) {
	ns := newNamespace(t)
	for _, family := range families {
		ours := openProtected(t, ns, family)
		fullSync(t, ours, node(family), mixture(family))
		cleanup := func() error {
			return ns.Do(func() error { return nft.Cleanup(context.Background(), families) })
		}
		var owned *nft.OwnedError
		if err := cleanup(); !errors.As(err, &owned) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
			t.Errorf("cleaning up under a living agent: %v", err)
		}
		list(t, ns, family) // fails if it is gone
		_ = ours.Close()
		if err := cleanup(); err != nil {
			t.Errorf("cleaning up an orphan: %v", err)
		}
		if left := tool(t, ns, "", "list", "tables"); left != "" {
			t.Errorf("left: %s", left)
		}
	}
}

func TestAnOrphanPutToSleepIsWokenUp(t *testing.T) {
	for _, family := range families {
		ns := newNamespace(t)
		old := openProtected(t, ns, family)
		fullSync(t, old, node(family), mixture(family))
		want := sorted(list(t, ns, family))
		_ = old.Close()
		if err := ns.Do(func() error { return putToSleep(family) }); err != nil {
			t.Fatal(err)
		}
		next := open(t, ns, family, protected)
		fullSync(t, next, node(family), mixture(family))
		if diff := cmp.Diff(want, sorted(list(t, ns, family))); diff != "" {
			t.Errorf("-before +after:\n%s", diff)
		}
	}
}

// putToSleep sets an orphan's flags to persist and dormant, for which nft 1.0.6
// has no words.
func putToSleep(family model.Family) error {
	conn, err := nfnl.Dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	number := map[model.Family]uint8{model.IPv4: unix.NFPROTO_IPV4, model.IPv6: unix.NFPROTO_IPV6}[family]
	var m nfnl.Messages
	m.Begin(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE, 0, number, "putting a table to sleep")
	m.String(unix.NFTA_TABLE_NAME, "switchyard")
	m.Uint32(unix.NFTA_TABLE_FLAGS, unix.NFT_TABLE_F_DORMANT|4)
	return conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &m)
}

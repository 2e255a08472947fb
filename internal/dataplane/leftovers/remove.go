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
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// ErrNotServed means that a family has rules of kube-proxy and none of ours, so
// that without them no Service would work.
var ErrNotServed = errors.New("there are no rules of ours: start the agent on this node, and wait until it is ready")

// Remove removes what kube-proxy left, in the network namespace of the calling
// thread. It returns what was removed and what stays, in words, also with an
// error; that there is nothing is success.
func Remove(ctx context.Context) (done []string, err error) {
	conn, err := nfnl.Dial()
	if err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	defer func() { _ = conn.Close() }()
	k := kernel{conn, conn.MaxTransaction() / 2}
	plans, err := planAll(k.read)
	if err != nil {
		return nil, err
	}
	beside, err := findOnHost(realHost{})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(beside.refused(plans), ctx.Err()); err != nil {
		return nil, err
	}
	for _, p := range plans {
		beside.kept = beside.kept || len(p.kept) > 0
	}
	done, err = carryOut(plans, k.remove, nft.Settle)
	if err != nil {
		return done, err
	}
	more, err := beside.remove(realHost{}, func() {
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	})
	return append(done, more...), err
}

var families = []model.Family{model.IPv4, model.IPv6}

// planAll plans all families before anything is removed of one.
func planAll(read func(model.Family) (state, error)) (map[model.Family]plan, error) {
	plans := map[model.Family]plan{}
	for _, family := range families {
		s, err := read(family)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("nftables %s: %w", family, err)
		}
		plans[family] = planRemoval(s)
		if !plans[family].empty() && !s.serves {
			return nil, fmt.Errorf("%s: %w", family, ErrNotServed)
		}
	}
	return plans, nil
}

// steps are carried out one after the other, and say what they have done.
var steps = []struct {
	edits func(plan) []edit
	words func([]edit) []string
}{
	{func(p plan) []edit { return p.entries }, counted("closed %d ways into kube-proxy's rules")},
	{func(p plan) []edit { return p.exits }, counted("closed %d ways into them in postrouting")},
	{func(p plan) []edit { return p.rest }, removed},
}

// carryOut removes step by step, the same step of all families at a time. remove
// says how many of the edits are in the kernel.
func carryOut(plans map[model.Family]plan, remove func(model.Family, []edit) (int, error), settle func()) (done []string, err error) {
	say := func(family model.Family, words []string) {
		for _, text := range words {
			done = append(done, fmt.Sprintf("%s: %s", family, text))
		}
	}
	for _, step := range steps {
		settle()
		for _, family := range families {
			edits := step.edits(plans[family])
			count, err := remove(family, edits)
			say(family, step.words(edits[:count]))
			if err != nil {
				return done, fmt.Errorf("nftables %s: %w", family, err)
			}
		}
	}
	for _, family := range families {
		say(family, plans[family].stays())
	}
	return done, nil
}

func counted(text string) func([]edit) []string {
	return func(edits []edit) []string {
		if len(edits) == 0 {
			return nil
		}
		return []string{fmt.Sprintf(text, len(edits))}
	}
}

// removed says what these edits have removed.
func removed(edits []edit) (said []string) {
	chains, emptied := map[string]int{}, map[string]int{}
	for _, e := range edits {
		switch e.what {
		case removeRules:
			emptied[e.table]++
		case removeChain:
			chains[e.table]++
		case removeTable:
			said = append(said, "removed table "+e.table)
		}
	}
	for _, table := range []string{"nat", "filter", "mangle"} {
		if chains[table] > 0 {
			said = append(said, fmt.Sprintf("removed %d chains of iptables' table %s", chains[table], table))
		}
		if left := emptied[table] - chains[table]; left > 0 {
			said = append(said, fmt.Sprintf("emptied %d chains of iptables' table %s", left, table))
		}
	}
	return said
}

// stays says which chains a plan keeps, and why.
func (p plan) stays() (said []string) {
	for _, at := range p.kept {
		why := "rules of others lead there"
		if at == masquerading {
			why = "what has the mark of " + marking.chain + " is masqueraded there"
		}
		said = append(said, fmt.Sprintf("kept %s of iptables' table %s: %s", at.chain, at.table, why))
	}
	return said
}

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
	"cmp"
	"maps"
	"slices"
)

// place names a chain of one family.
type place struct{ table, chain string }

// chain is one in the kernel.
type chain struct {
	place
	// base is true for one that packets enter at a hook, and last for the hook
	// postrouting, which packets come to behind all others.
	base, last bool
}

// rule is one in the kernel.
type rule struct {
	place
	handle uint64
	// target is the chain that it leads to, if that is all it does.
	target string
}

// state is what a family has in the kernel, of the tables that can be
// kube-proxy's, and whether ours serves there.
type state struct {
	tables []string
	chains []chain
	rules  []rule
	serves bool
}

// edit removes one thing: a rule by its handle, all rules of a chain, a chain, or
// a table with all that is in it.
type edit struct {
	place
	handle uint64
	what   removal
}

type removal int

const (
	removeRule removal = iota
	removeRules
	removeChain
	removeTable
)

// plan is what to remove, in this order. Between two steps packets leave the
// chains that they are in.
type plan struct {
	// entries are ways in at all hooks but the last: new connections are not
	// translated by kube-proxy's rules any more.
	entries []edit
	// exits are ways in at the last hook, where what was translated gets the
	// address of the node.
	exits []edit
	// rest is what nothing leads to then.
	rest []edit
	// kept are chains that others refer to.
	kept []place
	// serves tells that ours does.
	serves bool
}

func (p plan) empty() bool { return len(p.entries)+len(p.exits)+len(p.rest) == 0 }

// planRemoval decides what goes. It depends on nothing but the state.
func planRemoval(s state) plan {
	p := plan{serves: s.serves}
	bases := map[place]chain{}
	for _, c := range s.chains {
		if c.base {
			bases[c.place] = c
		}
	}
	kept := keptChains(s, bases)
	p.unlink(s, bases, kept)
	var chains []edit
	for _, c := range s.chains {
		switch {
		case c.table == proxyTable || c.base || !isProxyChain(c.chain):
		case kept[c.place]:
			p.kept = append(p.kept, c.place)
		default:
			p.rest = append(p.rest, edit{place: c.place, what: removeRules})
			chains = append(chains, edit{place: c.place, what: removeChain})
		}
	}
	p.rest = append(p.rest, chains...)
	if slices.Contains(s.tables, proxyTable) {
		p.rest = append(p.rest, edit{place: place{table: proxyTable}, what: removeTable})
	}
	slices.SortFunc(p.kept, func(a, b place) int { return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.chain, b.chain)) })
	return p
}

// unlink plans the ways in: rules of base chains that lead to kube-proxy's, and
// all that its own base chains have.
func (p *plan) unlink(s state, bases map[place]chain, kept map[place]bool) {
	add := func(c chain, e edit) {
		if c.last {
			p.exits = append(p.exits, e)
		} else {
			p.entries = append(p.entries, e)
		}
	}
	emptied := map[place]bool{}
	for _, r := range s.rules {
		c, entered := bases[r.place]
		switch {
		case !entered:
		case r.table == proxyTable && !emptied[r.place]:
			emptied[r.place] = true
			add(c, edit{place: r.place, what: removeRules})
		case r.table != proxyTable && isProxyChain(r.target) && !kept[place{r.table, r.target}]:
			add(c, edit{place: r.place, handle: r.handle, what: removeRule})
		}
	}
}

// keptChains are chains of kube-proxy's that rules of others lead to, in chains
// that are not base chains, and all that those lead to in turn. Who made such a
// rule counts on the chain, and who has packets marked, as CNI's portmap does with
// externalSetMarkChain, on what becomes of them.
func keptChains(s state, bases map[place]chain) map[place]bool {
	leadsTo := map[place]map[place]bool{}
	kept := map[place]bool{}
	for _, r := range s.rules {
		to := place{r.table, r.target}
		switch _, entered := bases[r.place]; {
		case r.table == proxyTable || !isProxyChain(r.target):
		case isProxyChain(r.chain):
			if leadsTo[r.place] == nil {
				leadsTo[r.place] = map[place]bool{}
			}
			leadsTo[r.place][to] = true
		case !entered:
			kept[to] = true
		}
	}
	if slices.ContainsFunc(s.chains, func(c chain) bool { return c.place == masquerading }) {
		if leadsTo[marking] == nil {
			leadsTo[marking] = map[place]bool{}
		}
		leadsTo[marking][masquerading] = true
	}
	queue := slices.Collect(maps.Keys(kept))
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		for to := range leadsTo[next] {
			if !kept[to] {
				kept[to] = true
				queue = append(queue, to)
			}
		}
	}
	return kept
}

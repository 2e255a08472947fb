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

package allocator

import "slices"

// Doubt is a number that no Service is known to have, and that the API server may
// have given all the same: to a request under way that this replica has not been
// asked about, or whose Service the watch has not shown yet. Or it has not taken
// the number back yet from a Service that the watch says is gone.
type Doubt struct {
	Number Number
	// Chosen says that any other would do; else it was asked for.
	Chosen bool
}

// scarce is the part of the ports that a Service may be given, one in so many, below
// which free ones are few enough that the one chosen is likely to be somebody else's
// in the next moment.
const scarce = 10

// doubt lists the ports in doubt: those asked for by number, where one can not
// tell, and those chosen from a range or pools that are nearly full. So are numbers that an
// earlier attempt of the Service has claimed: perhaps it was the server that did
// not give them, and then the next attempt needs others. Reserved ones are not in
// doubt: what holds them lets go of them.
func (p *planner) doubt() {
	for _, d := range p.demands {
		if !d.automatic() && p.isOpen(d.number) && !p.holdsAlready(d.number) {
			p.plan.Doubtful = append(p.plan.Doubtful, Doubt{Number: d.number})
		}
	}
	isScarce := p.isScarce()
	for _, a := range p.plan.Assignments {
		if again := a.Reused && !a.Reserved; !a.Explicit && (again || isScarce && p.isOpen(a.Number)) {
			p.plan.Doubtful = append(p.plan.Doubtful, Doubt{Number: a.Number, Chosen: true})
		}
	}
}

// isScarce tells that few of the ports are left that this Service may be given.
func (p *planner) isScarce() bool {
	ports := p.index.ranges.ports
	from := p.sourceOf(demand{field: Field{Kind: NodePort}})
	if !from.restricted {
		return ports.Free() <= ports.bits.size/scarce
	}
	var free, all uint64
	for _, stage := range from.stages {
		window := p.index.ranges.portWindows.at(stage)
		all += window.size()
		for _, s := range window.spans {
			free += ports.bits.countFree(s.low, s.high)
		}
	}
	return free <= max(all/scarce, 1) // of a pool of a few the last two count
}

// isOpen tells ports that are not reserved.
func (p *planner) isOpen(n Number) bool {
	_, reserved := p.index.reservations[n]
	return n.IsPort() && !reserved
}

func (p *planner) holdsAlready(n Number) bool {
	return p.request.Old != nil && slices.ContainsFunc(HoldingsOf(p.request.Old), func(h Holding) bool { return h.Number == n })
}

// avoid keeps numbers away from automatic choices.
func (p *planner) avoid() {
	for _, n := range p.request.Avoid {
		p.keep(n)
	}
}

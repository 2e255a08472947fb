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

package ruleset

import (
	"net/netip"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// list is one of the two lists of endpoints of a ServicePort, Cluster and
// Local, as the kernel holds it.
type list struct {
	// id is 0 while no way leads to the list.
	id uint32
	// class is how an endpoint is drawn.
	class Class
	// slots are the endpoints, each in its slot, or the Maglev table of them;
	// pins take their place in a list with affinity.
	slots []netip.AddrPort
	// pinned is nil in a list without affinity, as most are.
	pinned *pins
}

func (l *list) empty() bool { return len(l.slots)+len(l.pins().endpoints) == 0 }

// pins are not for writing.
func (l *list) pins() *pins {
	if l.pinned == nil {
		return &noPins
	}
	return l.pinned
}

// nextList is old brought to endpoints, as d schedules them. Without an id, which more than a
// million lists would have to share, it stays empty.
func (p *Planner) nextList(old list, d *policy.Decision, endpoints []netip.AddrPort) list {
	endpoints = endpoints[:min(len(endpoints), maxClass)]
	next := list{id: old.id}
	if next.id == 0 {
		next.id = p.ids.take()
	}
	if next.id == 0 || len(endpoints) == 0 {
		return next
	}
	switch {
	case d.Affinity > 0:
		next.pinned = p.nextPins(old.pins(), next.id, d, endpoints)
		next.class = p.timeouts[next.pinned.timeout].class
	case d.Scheduler == model.Maglev:
		size := maglevSize(len(endpoints))
		next.slots, next.class = maglevTable(endpoints[:min(len(endpoints), int(size))], size), maglevClass(size)
	default:
		if d.Scheduler == model.Weighted {
			endpoints = weighted(endpoints, d.Weights)
		}
		next.slots = arrange(old.slots, endpoints)
		next.class = pickClass(nextClass(old.class.slots(), len(next.slots)))
	}
	return next
}

// usesCluster says whether any connection may be led to the Cluster list. With
// an external traffic policy Local those of local pods and of the node are.
func usesCluster(d *policy.Decision) bool {
	return len(d.Cluster) > 0 && (d.Internal == policy.ClusterScope || reachableFromOutside(d))
}

// usesLocal says the same of the Local list. It has an id also when it is
// empty, which tells packets from whom they may have instead.
func usesLocal(d *policy.Decision) bool {
	asked := d.Internal == policy.LocalScope || d.External == policy.LocalScope && reachableFromOutside(d)
	return asked && len(d.Cluster)+len(d.Local) > 0
}

func reachableFromOutside(d *policy.Decision) bool {
	return d.NodePort != 0 || len(d.ExternalIPs)+len(d.LoadBalancerIPs) > 0
}

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

package endpointslices

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Change is a pod that may have changed since its Service was planned.
type Change struct {
	Name string
	// Pod is nil if there is none any more that the selector matches.
	Pod *corev1.Pod
}

// Increment plans for a few pods that have changed since the Service was planned
// as a whole, if nothing else has. Its cost is that of the slices written and a
// look at the names in the others. In.Pods is not read. It returns false where
// the whole has to be planned: a slice would come or go, or a node is not known.
func Increment(in Input, changes []Change) ([]Plan, bool) {
	var plans []Plan
	for _, family := range Families(in.Service) {
		inc := increment{Input: in, plan: Plan{Family: family}}
		if !inc.begin() {
			return nil, false
		}
		for _, change := range changes {
			if !inc.apply(change) {
				return nil, false
			}
		}
		if !inc.finish() {
			return nil, false
		}
		plans = append(plans, inc.plan)
	}
	return plans, true
}

// increment is the work on one family.
type increment struct {
	Input
	plan Plan
	// slices are the family's, of which written have been copied.
	slices  []*discoveryv1.EndpointSlice
	written []bool
	// added are endpoints that no slice has yet, by their ports.
	added  map[portsKey][]discoveryv1.Endpoint
	buffer []byte
}

// begin refuses where a slice may have to go.
func (inc *increment) begin() bool {
	for _, slice := range inc.Existing {
		if slice.AddressType != inc.plan.Family {
			continue
		}
		// One without endpoints is kept for pods that have none, and goes with them.
		if !owned(slice, inc.Service) || len(slice.Endpoints) == 0 {
			return false
		}
		inc.slices = append(inc.slices, slice)
	}
	inc.written = make([]bool, len(inc.slices))
	inc.added = map[portsKey][]discoveryv1.Endpoint{}
	return len(inc.slices) > 0
}

// apply removes the pod's endpoint from where it is and puts the one it should
// have there again or, if it is no longer the same, elsewhere.
func (inc *increment) apply(change Change) bool {
	want, numbers, known := inc.want(change.Pod)
	if !known {
		return false
	}
	at, index := inc.find(change.Name)
	switch {
	case at >= 0 && want == nil:
		inc.take(at, index)
	case at >= 0:
		have, key := &inc.slices[at].Endpoints[index], keyOf(endpointPorts(inc.Service, numbers))
		switch {
		case keyOf(inc.slices[at].Ports) != key || identityOf(have) != identityOf(want):
			inc.take(at, index)
			inc.added[key] = append(inc.added[key], *want)
		case !sameState(have, want):
			inc.copyOf(at).Endpoints[index] = *want
		}
	case want != nil:
		key := keyOf(endpointPorts(inc.Service, numbers))
		inc.added[key] = append(inc.added[key], *want)
	}
	return true
}

// want is the endpoint that the pod should have, or nil for none.
func (inc *increment) want(pod *corev1.Pod) (endpoint *discoveryv1.Endpoint, ports []byte, known bool) {
	if pod == nil || !eligible(pod) {
		return nil, nil, true
	}
	node := inc.Node(pod.Spec.NodeName)
	if node == nil && !inc.Service.Spec.PublishNotReadyAddresses {
		return nil, nil, false
	}
	e := endpointFor(inc.Service, pod, node, inc.plan.Family)
	if len(e.Addresses) == 0 {
		return nil, nil, true
	}
	inc.buffer = numbers(inc.Service, pod, inc.buffer)
	return &e, inc.buffer, true
}

// find looks for the endpoint of a pod.
func (inc *increment) find(pod string) (slice, endpoint int) {
	for i, slice := range inc.slices {
		for j := range slice.Endpoints {
			if target := slice.Endpoints[j].TargetRef; target != nil && target.Name == pod {
				return i, j
			}
		}
	}
	return -1, -1
}

// copyOf is the slice to change.
func (inc *increment) copyOf(i int) *discoveryv1.EndpointSlice {
	if !inc.written[i] {
		inc.slices[i] = changed(inc.slices[i], slices.Clone(inc.slices[i].Endpoints), inc.slices[i].Labels)
		inc.written[i] = true
	}
	return inc.slices[i]
}

func (inc *increment) take(slice, endpoint int) {
	next := inc.copyOf(slice)
	next.Endpoints = slices.Delete(next.Endpoints, endpoint, endpoint+1)
	inc.plan.Removed++
}

// place puts what was added where pack would, but for new slices.
func (inc *increment) place() bool {
	for key, added := range inc.added {
		inc.plan.Added += len(added)
		var written, others []*discoveryv1.EndpointSlice
		at := map[*discoveryv1.EndpointSlice]int{}
		for i, slice := range inc.slices {
			switch {
			case len(slice.Endpoints) == 0 || keyOf(slice.Ports) != key:
			case inc.written[i]:
				written = append(written, slice)
			default:
				at[slice] = i
				others = append(others, slice)
			}
		}
		if added = inc.fill(written, added); len(added) == 0 {
			continue
		}
		best := inc.closest(others, len(added))
		if best < 0 {
			return false
		}
		next := inc.copyOf(at[others[best]])
		next.Endpoints = append(next.Endpoints, added...)
	}
	return true
}

// finish refuses what empties a slice.
func (inc *increment) finish() bool {
	if !inc.place() {
		return false
	}
	for i, slice := range inc.slices {
		switch {
		case !inc.written[i]:
			inc.plan.Unchanged = append(inc.plan.Unchanged, slice)
		case len(slice.Endpoints) == 0:
			return false
		default:
			inc.plan.Update = append(inc.plan.Update, slice)
		}
	}
	return true
}

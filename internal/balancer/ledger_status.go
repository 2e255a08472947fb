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

package balancer

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// StatusStep is what is to be written next in the status of one Service.
type StatusStep struct {
	Key types.NamespacedName
	UID types.UID
	// Version is that of the Service for which it holds.
	Version string
	// Addrs and Condition are to be there; without a condition nothing of ours is.
	Addrs     []netip.Addr
	Condition *metav1.Condition
	// Unproved are addresses whose claims have to be read before.
	Unproved []netip.Addr
	// Touch is for a write that has to change something, whatever is there: a claim
	// says that the Service is leaving.
	Touch bool
	// Repairs is true if it would write again what somebody else has written over, or
	// add to it. A step that takes away what we wrote last is for nobody to wait for.
	Repairs bool
	// Look is for such a Service that is not ours: it has to be read, and nothing
	// is to be written.
	Look  bool
	begun uint64
}

func (s *StatusStep) equal(other *StatusStep) bool {
	return s.UID == other.UID && slices.Equal(s.Addrs, other.Addrs) && sameCondition(s.Condition, other.Condition)
}

// NextStatus is what is to be done about a Service, if anything is.
func (l *Ledger) NextStatus(key types.NamespacedName) (step StatusStep, needed bool) {
	now := l.shows[key]
	leaves := !l.stale && l.leaves(key)
	if now == nil || l.stale {
		return StatusStep{Key: key, UID: l.others[key], Look: true, begun: l.learnt}, leaves
	}
	step = StatusStep{Key: key, UID: now.UID, Version: now.Version, begun: l.learnt}
	if decision, decided := l.book.Decision(key); decided && decision.UID == now.UID && now.Served {
		step.Touch = leaves
		if waits := l.fill(&step, now, decision); waits && slices.Equal(step.Addrs, now.Addrs) && !l.held(now, decision) && !leaves {
			return step, false // once its claims are written
		}
	} else if now.Served {
		return StatusStep{}, false // it is not decided yet
	}
	if l.isClaimed(now, step.Addrs) {
		return step, false // once the claims of what it loses are written
	}
	step.Unproved = append(step.Unproved, l.unprovedOf(now, step.Addrs)...)
	step.Repairs = now.isRepairedBy(&step)
	if now.isDone(&step) {
		step.Look = leaves && !now.Served
		return step, leaves
	}
	step.Touch = false // it changes something anyway
	return step, true
}

// isDone reports whether a step has nothing to write.
func (s *shown) isDone(step *StatusStep) bool {
	strange := s.Strange && len(step.Addrs) > 0
	done := slices.Equal(step.Addrs, s.Addrs) && !strange && sameCondition(step.Condition, s.Condition)
	settled := s.settled != nil && s.settled.equal(step)
	return (done || settled) && len(s.doubted) == 0
}

// isRepairedBy is true for a step that takes away nothing of what we wrote last.
func (s *shown) isRepairedBy(step *StatusStep) bool {
	return s.Served && !slices.ContainsFunc(s.wrote, func(addr netip.Addr) bool {
		return slices.Contains(s.Addrs, addr) && !slices.Contains(step.Addrs, addr)
	})
}

// isClaimed reports whether claims still say that a Service has what it is to lose.
func (l *Ledger) isClaimed(now *shown, left []netip.Addr) bool {
	return slices.ContainsFunc(now.Addrs, func(addr netip.Addr) bool {
		return !slices.Contains(left, addr) && l.claims[addr].has(now.Key, now.UID)
	})
}

// unprovedOf are the addresses that a Service is to lose and that it may have been given
// since their claims were read: by another manager, as this one is late.
func (l *Ledger) unprovedOf(now *shown, left []netip.Addr) (addrs []netip.Addr) {
	for _, addr := range now.Addrs {
		record := l.record(addr)
		if !slices.Contains(left, addr) && !slices.Contains(addrs, addr) && (record.doubtful || record.asked < now.seen) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// fill says what a Service of ours is to have, and whether it waits for a claim.
func (l *Ledger) fill(step *StatusStep, now *shown, decision Decision) (waits bool) {
	for _, addr := range decision.Addrs {
		record := l.claims[addr]
		there := slices.Contains(now.Addrs, addr)
		switch {
		case record.has(now.Key, now.UID):
			step.Addrs = append(step.Addrs, addr)
			if !there && record.asked < now.seen {
				step.Unproved = append(step.Unproved, addr)
			}
		case there:
			step.Addrs = append(step.Addrs, addr) // its claim is being written again
		case !l.blocked(addr, l.book.holdersOf(addr)):
			// What it has stays until it can have the other. If that one is still
			// shown by somebody, the two might wait for each other.
			step.Addrs = append(step.Addrs, ofFamily(now.Addrs, familyOf(addr))...)
		}
	}
	// What is new is added in one write, so that who requires both families has both
	// or none; what is lost goes at once.
	waits = !slices.Equal(step.Addrs, decision.Addrs)
	if waits || now.Deleting {
		step.Addrs = slices.DeleteFunc(step.Addrs, func(addr netip.Addr) bool { return !slices.Contains(now.Addrs, addr) })
		step.Unproved = nil
	}
	switch {
	case now.Deleting && slices.Equal(step.Addrs, now.Addrs) && !step.Touch:
		step.Condition = now.Condition
	case waits && decision.Satisfied && !now.Deleting:
		step.Condition = conditionOf(Decision{Reason: ReasonClaiming, Message: "the address is being claimed"}, now.Generation)
	default:
		step.Condition = conditionOf(decision, now.Generation)
	}
	return waits
}

// held reports whether a Service waits for what others still show, which may take
// as long as their status can not be written: somebody may want to know.
func (l *Ledger) held(now *shown, decision Decision) bool {
	return slices.ContainsFunc(decision.Addrs, func(addr netip.Addr) bool {
		return !l.claims[addr].has(now.Key, now.UID) && l.blocked(addr, l.book.holdersOf(addr))
	})
}

func ofFamily(addrs []netip.Addr, family corev1.IPFamily) []netip.Addr {
	i := slices.IndexFunc(addrs, func(addr netip.Addr) bool { return familyOf(addr) == family })
	if i < 0 {
		return nil
	}
	return addrs[i : i+1]
}

// conditionOf is a decision in the status of its Service.
func conditionOf(d Decision, generation int64) *metav1.Condition {
	condition := &metav1.Condition{
		Type: v1alpha1.LoadBalancerAddressAssigned, Status: metav1.ConditionFalse,
		Reason: string(d.Reason), Message: d.Message, ObservedGeneration: generation,
	}
	if d.Satisfied {
		condition.Status = metav1.ConditionTrue
	}
	return condition
}

// sameCondition leaves out the time.
func sameCondition(a, b *metav1.Condition) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.LastTransitionTime, y.LastTransitionTime = metav1.Time{}, metav1.Time{}
	return x == y
}

// SightOf reads what is written in a Service.
func SightOf(object *corev1.Service, class Class) Sight {
	sight := Sight{
		Key: types.NamespacedName{Namespace: object.Namespace, Name: object.Name}, UID: object.UID,
		Version: object.ResourceVersion, Generation: object.Generation,
		Served: class.Serves(object), Deleting: object.DeletionTimestamp != nil,
	}
	for _, ingress := range object.Status.LoadBalancer.Ingress {
		addr, err := netip.ParseAddr(ingress.IP)
		if err == nil {
			sight.Addrs = append(sight.Addrs, addr.Unmap())
		}
		otherMode := ingress.IPMode != nil && *ingress.IPMode != corev1.LoadBalancerIPModeVIP
		sight.Strange = sight.Strange || err != nil || otherMode || ingress.Hostname != "" || len(ingress.Ports) > 0
	}
	for i := range object.Status.Conditions {
		if object.Status.Conditions[i].Type == v1alpha1.LoadBalancerAddressAssigned {
			sight.Condition = &object.Status.Conditions[i]
		}
	}
	return sight
}

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

	corev1 "k8s.io/api/core/v1"
)

// serve gives a Service what it wants and may have, and notes what it lacks.
func (b *Book) serve(e *entry) {
	picks, refusals := b.picks(e)
	if e.requiresBoth() && len(picks) < len(families) {
		picks = nil // what it has stays
	}
	for _, family := range families {
		b.give(e, family, picks[family])
	}
	if len(refusals) > 0 {
		b.waiting[e] = true
	} else {
		delete(b.waiting, e)
	}
	b.dirty[e] = true
	e.verdict = b.verdictOf(e, refusals)
}

func (b *Book) give(e *entry, family corev1.IPFamily, pick netip.Addr) {
	have, has := e.addrs[family]
	if !pick.IsValid() || pick == have {
		return
	}
	if has {
		b.lose(e, have, refuse(LossMoved, "%s is released: the Service has got %s, as it asks for", have, pick))
	}
	b.bind(e, pick)
}

// picks are the addresses that a Service can have, those that it has among them,
// and why it lacks others.
func (b *Book) picks(e *entry) (picks map[corev1.IPFamily]netip.Addr, refusals []*refusal) {
	picks = map[corev1.IPFamily]netip.Addr{}
	switch wanted := len(e.wanted()); {
	case wanted == 0:
		return nil, []*refusal{refuse(ReasonFamily, "the Service has no ClusterIP yet")}
	case wanted < len(families) && e.requiresBoth():
		return nil, []*refusal{refuse(ReasonFamily, "the Service requires both families and has a ClusterIP of one")}
	}
	for _, family := range e.wanted() {
		addr, why := b.pick(e, family)
		if why != nil {
			refusals = append(refusals, why)
			addr = e.addrs[family]
		}
		if addr.IsValid() {
			picks[family] = addr
		}
	}
	return picks, refusals
}

// pick is what a Service is to have of a family. What it has it keeps until it can
// have what it asks for.
func (b *Book) pick(e *entry, family corev1.IPFamily) (netip.Addr, *refusal) {
	have, has := e.addrs[family]
	wish := e.wishOf(family)
	strange, isStrange := e.strangeWish()
	switch {
	case e.Wish.Invalid != "":
		return netip.Addr{}, refuse(ReasonInvalid, "%s", e.Wish.Invalid)
	case isStrange:
		return netip.Addr{}, refuse(ReasonFamily, "%s is asked for and the Service is to have no address of %s", strange, familyOf(strange))
	case has && b.asWished(e, have):
		return have, nil
	case e.Deleting:
		return netip.Addr{}, refuse(ReasonDeleting, "the Service is being deleted")
	case wish.IsValid():
		return wish, b.refuseWish(e, wish)
	}
	return b.choose(e, family)
}

// asWished reports whether an address is what a Service asks for, or it asks for none.
func (b *Book) asWished(e *entry, addr netip.Addr) bool {
	if wish := e.wishOf(familyOf(addr)); wish.IsValid() {
		return wish == addr
	}
	owner, owned := b.pools.OwnerOf(addr)
	return e.Wish.Pool == "" || owned && b.pools.Pool(owner).Name == e.Wish.Pool
}

// refuseWish says why a Service can not have an address by value, or nothing.
func (b *Book) refuseWish(e *entry, addr netip.Addr) *refusal {
	owner, owned := b.pools.OwnerOf(addr)
	switch {
	case !owned || !b.selects(owner, e):
		return refuse(ReasonNotInPool, "%s is in no AddressPool for this Service", addr)
	case b.pools.Pool(owner).Disabled:
		return refuse(ReasonDisabled, "the AddressPool of %s is disabled: it gives nothing new", addr)
	case e.Wish.Pool != "" && e.Wish.Pool != b.pools.Pool(owner).Name:
		return refuse(ReasonNotInPool, "%s is not in the pool that the Service asks for", addr)
	case within(b.never, addr) || within(unusable, addr):
		return refuse(ReasonInUse, "%s is one of the cluster's own, or can not be reached from outside", addr)
	case b.kept.bars(addr, e.Key):
		return refuse(ReasonReserved, "%s is reserved for another", addr)
	case b.used.elsewhere(addr, e.Key):
		return refuse(ReasonInUse, "%s is used by a node or by another Service", addr)
	}
	return b.refuseHolders(e, addr)
}

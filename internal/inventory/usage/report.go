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

package usage

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/inventory"
)

// Report counts everything.
type Report struct {
	// NodePortRange is that of the API server, and where it is known from: flag,
	// server, manager or assumed.
	NodePortRange string           `json:"nodePortRange"`
	NodePortsFrom inventory.Source `json:"nodePortRangeFrom"`
	// Ranges are those of the API server: that of NodePorts, then the CIDRs.
	Ranges []Range `json:"ranges"`
	// Pools are port pools, then address pools, by name; an address pool is there
	// once for each family it has.
	Pools []Pool `json:"pools"`
	// NotRead are the kinds that the counts lack.
	NotRead []inventory.Unread `json:"notRead"`
}

// Count counts numbers, each up to 2^64-1.
type Count struct {
	Capacity uint64 `json:"capacity"`
	// Allocated are held by Services.
	Allocated uint64 `json:"allocated"`
	// Reserved are held by no Service, and kept by a reservation, or by an
	// IPAddress for what is no Service.
	Reserved uint64 `json:"reserved"`
	// Claimed are neither, and chosen for requests that are under way, or were a
	// minute ago.
	Claimed uint64 `json:"claimed"`
	// Free is the rest.
	Free uint64 `json:"free"`
	// LargestGap is the most free numbers in a row; absent where none is free.
	LargestGap *Gap `json:"largestGap,omitempty"`
	// HeldTwice are numbers of several Services.
	HeldTwice []string `json:"heldTwice"`
}

// Gap is free numbers in a row.
type Gap struct {
	First string `json:"first"`
	Last  string `json:"last"`
	Count uint64 `json:"count"`
}

// Range is one of the API server's.
type Range struct {
	// Kind is NodePorts or ServiceCIDR, Name that of the ServiceCIDR.
	Kind  string `json:"kind"`
	Name  string `json:"name,omitempty"`
	Range string `json:"range"`
	Count
	// Open is false for a ServiceCIDR that is being removed.
	Open bool `json:"open"`
}

// Pool is one of Switchyard's.
type Pool struct {
	// Kind is PortPool or AddressPool.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Use and Family are of an AddressPool.
	Use    v1alpha1.AddressUse `json:"use,omitempty"`
	Family corev1.IPFamily     `json:"family,omitempty"`
	// Ranges are its own numbers that can be given.
	Ranges []string `json:"ranges"`
	Count
	// Overlaps are numbers that another pool, which has precedence, has as well.
	Overlaps []Overlap `json:"overlaps"`
	// Outside are numbers that the API server never gives.
	Outside           []string `json:"outside"`
	Priority          int32    `json:"priority"`
	AutoAssign        bool     `json:"autoAssign"`
	Disabled          bool     `json:"disabled,omitempty"`
	NamespaceSelector string   `json:"namespaceSelector"`
	ServiceSelector   string   `json:"serviceSelector,omitempty"`
}

// Overlap is numbers of another pool.
type Overlap struct {
	With  string `json:"with"`
	Range string `json:"range"`
}

// Of counts what the cluster has.
func Of(x *inventory.Index) Report {
	c := counter{Index: x, used: map[v1alpha1.AddressUse][]allocator.Number{}}
	c.reserved, c.claimed = x.Kept()
	report := Report{
		NodePortRange: x.NodePorts.Span.String(), NodePortsFrom: x.NodePorts.From,
		Ranges: []Range{}, Pools: []Pool{}, NotRead: append([]inventory.Unread{}, x.Unread...),
	}
	for _, r := range x.Ranges() {
		report.Ranges = append(report.Ranges, c.serverRange(r))
	}
	for _, view := range x.Numbers.PortPools() {
		report.Pools = append(report.Pools, c.portPool(view))
	}
	for _, view := range x.Numbers.AddrPools() {
		report.Pools = append(report.Pools, c.addrPools(view)...)
	}
	return report
}

// counter has what several counts need.
type counter struct {
	*inventory.Index
	used     map[v1alpha1.AddressUse][]allocator.Number
	reserved []allocator.Number
	claimed  []allocator.Number
}

func (c *counter) usedFor(use v1alpha1.AddressUse) []allocator.Number {
	if _, known := c.used[use]; !known {
		c.used[use] = c.Used(use)
	}
	return c.used[use]
}

func (c *counter) serverRange(r inventory.Range) Range {
	kind, use := "NodePorts", v1alpha1.AddressUse("")
	if r.ServiceCIDR != "" {
		kind, use = "ServiceCIDR", v1alpha1.UseClusterIP
	}
	spans := []inventory.Span{r.Span}
	found := Range{Kind: kind, Name: r.ServiceCIDR, Range: r.Text, Open: r.Open, Count: c.shape(spans, use)}
	held := c.inside(spans, c.usedFor(use))
	found.Capacity = r.Span.Count()
	found.Allocated = uint64(len(held))
	for _, n := range c.inside(spans, c.reserved) {
		if _, taken := slices.BinarySearchFunc(held, n, allocator.Number.Compare); !taken {
			found.Reserved++
		}
	}
	found.settle()
	return found
}

// inside are the numbers that lie in the spans, each once.
func (c *counter) inside(spans []inventory.Span, numbers []allocator.Number) []allocator.Number {
	var in []allocator.Number
	for _, n := range numbers {
		if inventory.Contain(spans, n) {
			in = append(in, n)
		}
	}
	return slices.Compact(in)
}

// shape finds the largest gap and what is held twice.
func (c *counter) shape(spans []inventory.Span, use v1alpha1.AddressUse) Count {
	count := Count{HeldTwice: []string{}}
	taken := slices.Concat(c.usedFor(use), c.reserved)
	slices.SortFunc(taken, allocator.Number.Compare)
	for _, n := range c.inside(spans, c.claimed) {
		if _, also := slices.BinarySearchFunc(taken, n, allocator.Number.Compare); !also {
			count.Claimed++
		}
	}
	taken = append(taken, c.claimed...)
	if gap, found := inventory.Largest(inventory.Without(spans, inventory.Points(taken))); found {
		count.LargestGap = &Gap{First: gap.First.String(), Last: gap.Last.String(), Count: gap.Count()}
	}
	if use == v1alpha1.UseLoadBalancer || use == v1alpha1.UseExternalIP {
		return count // several may have one
	}
	for _, n := range c.inside(spans, c.usedFor(use)) {
		if len(c.Numbers.Holders(n)) > 1 {
			count.HeldTwice = append(count.HeldTwice, n.String())
		}
	}
	return count
}

// fill takes the numbers of the allocator, which also the status of pools has. To
// those a claim is free.
func (n *Count) fill(from allocator.PoolCount) {
	n.Capacity, n.Allocated, n.Reserved = from.Capacity, from.Allocated, from.Reserved
	n.settle()
}

func (n *Count) settle() {
	n.Free = n.Capacity - min(n.Capacity, n.Allocated+n.Reserved+n.Claimed)
}

func (c *counter) portPool(view allocator.PortPoolView) Pool {
	outside := inventory.PortSpans(view.Outside...)
	spans := inventory.Without(inventory.PortSpans(view.Effective...), outside)
	pool := Pool{
		Kind: "PortPool", Name: view.Name, Ranges: texts(spans), Outside: texts(outside), Overlaps: []Overlap{},
		Count: c.shape(spans, ""), Priority: view.Priority, AutoAssign: view.AutoAssign,
	}
	pool.fill(view.Count)
	for _, o := range view.Conflicts {
		pool.Overlaps = append(pool.Overlaps, Overlap{o.With, inventory.PortSpans(o.Span)[0].String()})
	}
	for i := range c.PortPools {
		if c.PortPools[i].Name == view.Name {
			pool.NamespaceSelector = selector(c.PortPools[i].Spec.NamespaceSelector)
		}
	}
	return pool
}

// addrPools has a row for each family of a pool.
func (c *counter) addrPools(view allocator.AddrPoolView) []Pool {
	outside := inventory.AddrSpans(view.Outside)
	spans := inventory.Without(inventory.AddrSpans(view.Effective), outside)
	var overlaps []inventory.Span
	with := map[inventory.Span]string{}
	for _, o := range view.Conflicts {
		span := inventory.AddrSpans([]allocator.AddrSpan{o.Span})[0]
		overlaps = append(overlaps, span)
		with[span] = o.With
	}
	var pools []Pool
	for _, family := range []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol} {
		own, never, shared := of(family, spans), of(family, outside), of(family, overlaps)
		if len(own)+len(never)+len(shared) == 0 {
			continue
		}
		pool := Pool{
			Kind: "AddressPool", Name: view.Name, Use: view.Use, Family: family,
			Ranges: texts(own), Outside: texts(never), Overlaps: []Overlap{},
			Count: c.shape(own, view.Use), Priority: view.Priority, AutoAssign: view.AutoAssign, Disabled: view.Disabled,
		}
		pool.fill(view.IPv4)
		if family == corev1.IPv6Protocol {
			pool.fill(view.IPv6)
		}
		for _, span := range shared {
			pool.Overlaps = append(pool.Overlaps, Overlap{with[span], span.String()})
		}
		for i := range c.AddressPools {
			if spec := c.AddressPools[i].Spec; c.AddressPools[i].Name == view.Name {
				pool.NamespaceSelector, pool.ServiceSelector = selector(spec.NamespaceSelector), selector(spec.ServiceSelector)
			}
		}
		pools = append(pools, pool)
	}
	return pools
}

func of(family corev1.IPFamily, spans []inventory.Span) []inventory.Span {
	return slices.DeleteFunc(slices.Clone(spans), func(s inventory.Span) bool {
		return s.First.Addr.Is4() != (family == corev1.IPv4Protocol)
	})
}

func texts(spans []inventory.Span) []string {
	all := make([]string, 0, len(spans))
	for _, s := range spans {
		all = append(all, s.String())
	}
	return all
}

// selector is as for kubectl get -l; "*" selects all.
func selector(s *metav1.LabelSelector) string {
	if text := metav1.FormatLabelSelector(s); s != nil && text != "<none>" {
		return text
	}
	return "*"
}

// text is a number as people read it: those of IPv6 are long.
func text(n uint64) string {
	if n >= 1e9 {
		return fmt.Sprintf("%.1e", float64(n))
	}
	return fmt.Sprint(n)
}

func dash(text string) string { return cmp.Or(text, "-") }

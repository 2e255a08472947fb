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

package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// RangeChange is one write of an object that claims addresses or ports: an
// AddressPool, a PortPool or a ServiceCIDR.
type RangeChange struct {
	// Kind and Name are the object's.
	Kind, Name string
	// Use is what the addresses are for; ClusterIP of a ServiceCIDR.
	Use v1alpha1.AddressUse
	// Malformed is what of the change can not be read, and its schema does not say.
	Malformed field.ErrorList
	// Addrs and Ports are the ranges that the change adds.
	Addrs []AddrRange
	Ports []PortRange
}

// AddrRange is a range of addresses as an object spells it.
type AddrRange struct {
	Path *field.Path
	Text string
	Span allocator.AddrSpan
}

// PortRange is a range of ports as an object spells it.
type PortRange struct {
	Path *field.Path
	Text string
	Span allocator.PortSpan
}

// ValidateRanges judges the ranges that a change adds.
func ValidateRanges(ctx context.Context, world World, severities Severities, change RangeChange) (Verdict, error) {
	verdict := Verdict{Errors: change.Malformed}
	err := judge(ctx, &verdict, RuleRangeOverlap, severities, func() ([]Finding, error) {
		return checkRangeOverlap(ctx, world, change)
	})
	return verdict, err
}

// checkRangeOverlap is X19. KEP-1880 leaves it to administrators that the ranges
// of a cluster do not overlap; where they do, addresses are given out twice.
// Such objects are few and seldom written, so that nodes may be listed for them.
func checkRangeOverlap(ctx context.Context, world World, change RangeChange) ([]Finding, error) {
	taken, err := takenRanges(ctx, world, change)
	var found []Finding
	for _, added := range change.Addrs {
		for _, other := range taken {
			if len(found) < maxFindings && overlap(added.Span, other.span) {
				found = append(found, Finding{Path: added.Path, Value: added.Text, WarnOnly: other.yields,
					Detail: fmt.Sprintf("this overlaps with %s, %s; %s", other.span, other.whose(ctx), other.remedy)})
				break
			}
		}
	}
	if len(change.Ports) == 0 || err != nil {
		return found, err
	}
	pools, err := world.Pools(ctx)
	if err != nil {
		return found, err
	}
	return append(found, portOverlaps(ctx, world, change, pools)...), nil
}

func portOverlaps(ctx context.Context, world World, change RangeChange, pools *Pools) []Finding {
	var found []Finding
	for _, added := range change.Ports {
		for _, pool := range pools.Ports {
			i := slices.IndexFunc(pool.Ranges, func(span allocator.PortSpan) bool {
				return span.First <= added.Span.Last && added.Span.First <= span.Last
			})
			if pool.Name != change.Name && i >= 0 && len(found) < maxFindings {
				found = append(found, Finding{Path: added.Path, Value: added.Text, WarnOnly: true, Detail: fmt.Sprintf(
					"this overlaps with %s of %s; the pool of higher priority, then the older, has these ports alone",
					pool.Ranges[i], world.RangeNameOf(ctx, "PortPool", pool.Name))})
			}
		}
	}
	return found
}

// takenRange is what a new range may not overlap with.
type takenRange struct {
	span allocator.AddrSpan
	// whose is asked for a finding alone: what a node is called may be a question
	// to the API server, and a cluster has thousands.
	whose  func(context.Context) string
	remedy string
	// yields is true where precedence settles the overlap.
	yields bool
}

const otherAddresses = "use addresses that are nothing else's"

// takenRanges are those of ServiceCIDRs, of nodes and pods, and of pools. What
// yields comes last, because one finding of a range is enough.
func takenRanges(ctx context.Context, world World, change RangeChange) ([]takenRange, error) {
	if len(change.Addrs) == 0 {
		return nil, nil
	}
	var taken []takenRange
	cidrs, errCIDRs := world.ServiceCIDRs(ctx)
	for _, cidr := range cidrs {
		if change.Use != v1alpha1.UseClusterIP {
			taken = append(taken, takenRange{span: spanOf(cidr.Prefix), whose: rangeOf(world, "ServiceCIDR", cidr.Name), remedy: otherAddresses})
		}
	}
	nodes, errNodes := world.Nodes(ctx)
	for _, node := range nodes {
		taken = append(taken, takenByNode(world, node)...)
	}
	pools, errPools := world.Pools(ctx)
	if errPools == nil {
		taken = append(taken, takenByPools(world, change, pools)...)
	}
	return taken, errors.Join(errCIDRs, errNodes, errPools)
}

func takenByNode(world World, node *corev1.Node) []takenRange {
	named := func(what string) func(context.Context) string {
		return func(ctx context.Context) string { return what + world.NodeNameOf(ctx, node) }
	}
	var taken []takenRange
	for _, prefix := range podCIDRs(node) {
		taken = append(taken, takenRange{span: spanOf(prefix), whose: named("the podCIDR of "), remedy: otherAddresses})
	}
	for _, addr := range nodeAddrs(node) {
		taken = append(taken, takenRange{span: allocator.AddrSpan{First: addr, Last: addr}, whose: named("an address of "), remedy: otherAddresses})
	}
	return taken
}

// rangeOf names a pool or ServiceCIDR.
func rangeOf(world World, kind, name string) func(context.Context) string {
	return func(ctx context.Context) string { return "a range of " + world.RangeNameOf(ctx, kind, name) }
}

// takenByPools leaves out pools of ClusterIPs for a ServiceCIDR, whose addresses
// they are, and pools of another use, which only tell who may use an address.
func takenByPools(world World, change RangeChange, pools *Pools) []takenRange {
	var taken []takenRange
	for _, pool := range pools.Addrs {
		same := change.Kind == "AddressPool" && pool.Use == change.Use && pool.Name != change.Name
		if !same && (change.Kind != "ServiceCIDR" || pool.Use == v1alpha1.UseClusterIP) {
			continue
		}
		for _, span := range pool.Ranges {
			other := takenRange{span: span, whose: rangeOf(world, "AddressPool", pool.Name), remedy: otherAddresses, yields: same}
			if same {
				other.remedy = "the pool of higher priority, then the older, has these addresses alone"
			}
			taken = append(taken, other)
		}
	}
	return taken
}

// overlap compares spans of any family; those of two have nothing in common.
func overlap(a, b allocator.AddrSpan) bool {
	return a.First.Compare(b.Last) <= 0 && b.First.Compare(a.Last) <= 0 && a.First.BitLen() == b.First.BitLen()
}

// spanOf is a prefix from its first to its last address.
func spanOf(prefix netip.Prefix) allocator.AddrSpan {
	bytes := prefix.Masked().Addr().AsSlice()
	for bit := prefix.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return allocator.AddrSpan{First: prefix.Masked().Addr(), Last: last}
}

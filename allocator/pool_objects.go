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

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// PortPoolOf reads a PortPool. The error names the field and what to write
// instead; the schema refuses such an object, but it may be older than the schema.
func PortPoolOf(object *v1alpha1.PortPool) (PortPool, error) {
	pool := PortPool{
		Name:                          object.Name,
		Priority:                      object.Spec.Priority,
		Created:                       object.CreationTimestamp.Time,
		AutoAssign:                    object.Spec.AutoAssign == nil || *object.Spec.AutoAssign,
		AllocateLoadBalancerNodePorts: object.Spec.AllocateLoadBalancerNodePorts,
	}
	read := poolReader{kind: "PortPool", name: object.Name}
	pool.Ranges = readSpans(&read, "ranges", object.Spec.Ranges, parsePortRange)
	pool.Reserved = readSpans(&read, "reserved", object.Spec.Reserved, parsePortRange)
	pool.Namespaces = read.selector("namespaceSelector", object.Spec.NamespaceSelector)
	read.needs("ranges", len(pool.Ranges), "a port such as 30080 or a range such as 30100-30199")
	return pool, read.err
}

// AddrPoolOf reads an AddressPool. The error names the field and what to write
// instead.
func AddrPoolOf(object *v1alpha1.AddressPool) (AddrPool, error) {
	pool := AddrPool{
		Name:          object.Name,
		Use:           object.Spec.Use,
		Priority:      object.Spec.Priority,
		Created:       object.CreationTimestamp.Time,
		AutoAssign:    object.Spec.AutoAssign == nil || *object.Spec.AutoAssign,
		Disabled:      object.Spec.Disabled,
		AvoidBuggyIPs: object.Spec.AvoidBuggyIPs,
	}
	read := poolReader{kind: "AddressPool", name: object.Name}
	pool.Sharing = read.sharing(object.Spec)
	pool.Ranges = readSpans(&read, "addresses", object.Spec.Addresses, parseAddrRange)
	pool.Reserved = readSpans(&read, "reserved", object.Spec.Reserved, parseAddrRange)
	pool.Namespaces = read.selector("namespaceSelector", object.Spec.NamespaceSelector)
	pool.Services = read.selector("serviceSelector", object.Spec.ServiceSelector)
	read.needs("addresses", len(pool.Ranges), "a CIDR, a range FIRST-LAST or an address")
	return pool, read.err
}

// poolReader reads the fields of one object and keeps the first error.
type poolReader struct {
	kind, name string
	err        error
}

func (r *poolReader) fail(field string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("reading %s %s: spec.%s: %w", r.kind, r.name, field, err)
	}
}

func (r *poolReader) needs(field string, count int, remedy string) {
	if count == 0 {
		r.fail(field, fmt.Errorf("it is empty: write %s", remedy))
	}
}

// sharing checks what is one of a few words.
func (r *poolReader) sharing(spec v1alpha1.AddressPoolSpec) v1alpha1.AddressSharing {
	switch spec.Use {
	case v1alpha1.UseClusterIP, v1alpha1.UseLoadBalancer, v1alpha1.UseExternalIP:
	default:
		r.fail("use", fmt.Errorf("%q is no use of an address: write %s, %s or %s",
			spec.Use, v1alpha1.UseClusterIP, v1alpha1.UseLoadBalancer, v1alpha1.UseExternalIP))
	}
	switch spec.Sharing {
	case "":
		return v1alpha1.SharingNamespace
	case v1alpha1.SharingNever, v1alpha1.SharingNamespace, v1alpha1.SharingCluster:
	default:
		r.fail("sharing", fmt.Errorf("%q is no way to share an address: write %s, %s or %s",
			spec.Sharing, v1alpha1.SharingNever, v1alpha1.SharingNamespace, v1alpha1.SharingCluster))
	}
	return spec.Sharing
}

// selector reads a selector; where there is none, everything is selected.
func (r *poolReader) selector(field string, selector *metav1.LabelSelector) labels.Selector {
	if selector == nil {
		return labels.Everything()
	}
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		r.fail(field, fmt.Errorf("%w: write it as for kubectl get -l", err))
		return labels.Nothing()
	}
	return parsed
}

func readSpans[S any, T ~string](r *poolReader, field string, texts []T, parse func(string) (S, error)) []S {
	var spans []S
	for i, text := range texts {
		parsed, err := parse(string(text))
		if err != nil {
			r.fail(fmt.Sprintf("%s[%d]", field, i), err)
			continue
		}
		spans = append(spans, parsed)
	}
	return spans
}

func parsePortRange(text string) (PortSpan, error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	low, errLow := strconv.ParseUint(first, 10, 16)
	high, errHigh := strconv.ParseUint(last, 10, 16)
	if errLow != nil || errHigh != nil || low == 0 || high < low {
		return PortSpan{}, fmt.Errorf("%q is no range of ports: write FIRST-LAST or one port, from 1 to 65535", text)
	}
	return PortSpan{First: int32(low), Last: int32(high)}, nil
}

func parseAddrRange(text string) (AddrSpan, error) {
	if prefix, err := netip.ParsePrefix(text); err == nil && !prefix.Addr().Is4In6() {
		if prefix != prefix.Masked() {
			return AddrSpan{}, fmt.Errorf("%q has bits after the prefix: write %s", text, prefix.Masked())
		}
		return SpanOfPrefix(prefix), nil
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	low, errLow := parseAddr(first)
	high, errHigh := parseAddr(last)
	if errLow != nil || errHigh != nil || low.BitLen() != high.BitLen() || high.Less(low) {
		return AddrSpan{}, fmt.Errorf("%q is no range of addresses: write a CIDR, FIRST-LAST of one family with the smaller first, or one address", text)
	}
	return AddrSpan{First: low, Last: high}, nil
}

// parseAddr takes addresses that mean the same on every node: without a zone,
// and IPv4 as IPv4.
func parseAddr(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err == nil && (addr.Zone() != "" || addr.Is4In6()) {
		err = fmt.Errorf("%q has a zone or is an IPv4 address in IPv6", text)
	}
	return addr, err
}

// SpanOfPrefix are the addresses of a CIDR, network and broadcast among them.
func SpanOfPrefix(prefix netip.Prefix) AddrSpan {
	return AddrSpan{First: prefix.Masked().Addr(), Last: lastAddr(prefix)}
}

func lastAddr(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	for bit := prefix.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// ObservePools takes in all PortPool and AddressPool objects as they are now. One
// that can not be read stays as it was when it last could, or its numbers would
// go to others; the error is about each of those, and the rest is taken in.
func (s *Services) ObservePools(ports []v1alpha1.PortPool, addrs []v1alpha1.AddressPool) error {
	s.mu.RLock()
	before := s.pools
	s.mu.RUnlock()
	lastPort := func(name string) (PortPool, bool) { return poolNamed(before.ports.pools, name) }
	portPools, portErr := readPools(ports, PortPoolOf, lastPort)
	addrPools, addrErr := readPools(addrs, AddrPoolOf, func(name string) (last AddrPool, known bool) {
		for _, use := range addressUses {
			if pool, ok := poolNamed(before.addrs[use].pools, name); ok {
				last, known = pool, true
			}
		}
		return last, known
	})
	s.SetPools(portPools, addrPools)
	return errors.Join(portErr, addrErr)
}

func readPools[O any, P any](objects []O, read func(*O) (P, error), last func(name string) (P, bool)) ([]P, error) {
	var pools []P
	var errs []error
	for i := range objects {
		pool, err := read(&objects[i])
		if err != nil {
			errs = append(errs, err)
			object, _ := any(&objects[i]).(metav1.Object)
			known := false
			if pool, known = last(object.GetName()); !known {
				continue
			}
		}
		pools = append(pools, pool)
	}
	return pools, errors.Join(errs...)
}

func poolNamed[P any, N ordered[N]](pools []resolvedPool[P, N], name string) (P, bool) {
	for _, pool := range pools {
		if pool.name == name {
			return pool.pool, true
		}
	}
	var none P
	return none, false
}

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

package trace

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/lookup"
)

// Query is what the user typed.
type Query struct {
	From, To string
	// Protocol is empty for that of the port, or TCP.
	Protocol  corev1.Protocol
	Namespace string
	// Node is where to look from, empty for where the connection starts.
	Node string
	// Domain is the cluster's.
	Domain string
	// Outside are the addresses that the word outside stands for, if any.
	Outside []netip.Addr
}

// outside is what a source outside of a local cluster is called.
const outside = "outside"

// Asked is what a Query means.
type Asked struct {
	Source lookup.Source
	// Destinations are of families that the source has.
	Destinations []lookup.Destination
	// Node is the one that the answer is about.
	Node string
}

// Find says what q means in a cluster with these objects.
func (o Objects) Find(q Query) (a Asked, err error) {
	if a.Source, err = o.source(q); err != nil {
		return a, fmt.Errorf("--from: %w", err)
	}
	all, err := o.destinations(q)
	if err != nil {
		return a, fmt.Errorf("--to: %w", err)
	}
	for _, d := range all {
		if _, ok := a.Source.Of(d.Addr()); ok {
			a.Destinations = append(a.Destinations, d)
		}
	}
	if len(a.Destinations) == 0 {
		return a, fmt.Errorf("--from %s has no address of the IP family of --to %s (%s)", q.From, q.To, all[0].Addr())
	}
	a.Node, err = o.node(q, a)
	return a, err
}

func (o Objects) source(q Query) (lookup.Source, error) {
	if q.From == outside && len(q.Outside) > 0 {
		return lookup.Source{Kind: lookup.Outside, Addrs: q.Outside}, nil
	}
	return lookup.FindSource(q.From, q.Namespace, o.Pods, o.Nodes)
}

// destinations takes a node's name for its addresses, as NodePorts are asked
// for, unless a Service has that name.
func (o Objects) destinations(q Query) ([]lookup.Destination, error) {
	found, err := lookup.FindDestinations(q.To, q.Protocol, q.Namespace, q.Domain, o.Services)
	host, port, splitErr := net.SplitHostPort(q.To)
	number, numberErr := strconv.ParseUint(port, 10, 16)
	if err == nil || splitErr != nil || numberErr != nil || number == 0 {
		return found, err
	}
	node, findErr := lookup.FindSource("node/"+host, "", nil, o.Nodes)
	if findErr != nil {
		return nil, err
	}
	for _, addr := range node.Addrs {
		to := lookup.Destination{AddrPort: netip.AddrPortFrom(addr, uint16(number)), Protocol: q.Protocol, Name: host}
		if to.Protocol == "" {
			to.Protocol = corev1.ProtocolTCP
		}
		found = append(found, to)
	}
	return found, nil
}

// node is where the packet meets Services first, as far as one can tell.
func (o Objects) node(q Query, a Asked) (string, error) {
	names := make([]string, 0, len(o.Nodes))
	for i := range o.Nodes {
		names = append(names, o.Nodes[i].Name)
	}
	if q.Node != "" {
		if !slices.Contains(names, q.Node) {
			return "", fmt.Errorf("--node: no node is called %q; there are %s", q.Node, strings.Join(names, ", "))
		}
		return q.Node, nil
	}
	if a.Source.Node != "" {
		return a.Source.Node, nil
	}
	if owner := o.ownerOf(a.Destinations[0].Addr()); owner != "" {
		return owner, nil
	}
	if announcer := o.Announcers[a.Destinations[0].Addr()]; slices.Contains(names, announcer) {
		return announcer, nil
	}
	if len(names) == 1 {
		return names[0], nil
	}
	if len(names) == 0 {
		return "", errors.New("the cluster has no nodes: nothing would take the packet")
	}
	return "", fmt.Errorf("%s is no node's own address: say with --node which one the packet is sent to (%s)",
		a.Destinations[0].Addr(), strings.Join(names, ", "))
}

// ownerOf is the node that has addr, or empty.
func (o Objects) ownerOf(addr netip.Addr) string {
	for i := range o.Nodes {
		if slices.Contains(addresses(&o.Nodes[i]), addr) {
			return o.Nodes[i].Name
		}
	}
	return ""
}

func addresses(node *corev1.Node) []netip.Addr {
	var addrs []netip.Addr
	for _, address := range node.Status.Addresses {
		if addr, err := netip.ParseAddr(address.Address); err == nil {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

// NodeAddresses are those of the Node object.
func (o Objects) NodeAddresses(name string) []netip.Addr {
	for i := range o.Nodes {
		if o.Nodes[i].Name == name {
			return addresses(&o.Nodes[i])
		}
	}
	return nil
}

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
	"fmt"
	"net/netip"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// podPrefixes counts how long the prefixes in nodes' podCIDRs are. A cluster has
// one length for each family, rarely more, so that few look-ups find the node of
// an address.
type podPrefixes struct {
	mu     sync.Mutex
	counts map[prefixKind]int
	// synced is nil until nodes are watched.
	synced func() bool
}

// prefixKind is a length among the prefixes of addresses of so many bits.
type prefixKind struct{ addressBits, bits int }

// WatchNodes has the look-up of podCIDRs know which there are. Without it every
// length is looked up.
func (c *Cluster) WatchNodes(ctx context.Context, informers cache.Informers) error {
	nodes, err := informers.GetInformer(ctx, &corev1.Node{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	watch, err := nodes.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { c.prefixes.add(object, 1) },
		UpdateFunc: func(before, after any) { c.prefixes.add(after, 1); c.prefixes.add(before, -1) },
		DeleteFunc: func(object any) { c.prefixes.add(object, -1) },
	})
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	c.prefixes.mu.Lock()
	defer c.prefixes.mu.Unlock()
	c.prefixes.synced = watch.HasSynced
	return nil
}

// add counts the podCIDRs of a node that is there, or with -1 no longer.
func (p *podPrefixes) add(object any, count int) {
	if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	node, ok := object.(*corev1.Node)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.counts == nil {
		p.counts = map[prefixKind]int{}
	}
	for _, prefix := range podCIDRs(node) {
		kind := prefixKind{prefix.Addr().BitLen(), prefix.Bits()}
		if p.counts[kind] += count; p.counts[kind] == 0 {
			delete(p.counts, kind)
		}
	}
}

// of are the prefixes that could hold an address, the longest first.
func (p *podPrefixes) of(addr netip.Addr) []netip.Prefix {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.synced == nil || !p.synced()
	var prefixes []netip.Prefix
	for bits := addr.BitLen(); bits >= 0; bits-- {
		if all && bits >= minPodCIDR || p.counts[prefixKind{addr.BitLen(), bits}] > 0 {
			prefixes = append(prefixes, netip.PrefixFrom(addr, bits).Masked())
		}
	}
	return prefixes
}

// minPodCIDR is the shortest prefix that is looked up while the lengths are not
// known; no node has more than a sixteenth of all IPv4 addresses.
const minPodCIDR = 4

// NodesByPodAddress implements NodeReader. The index knows whole prefixes, so
// those that could hold the address are looked up.
func (c *Cluster) NodesByPodAddress(ctx context.Context, addr netip.Addr) ([]*corev1.Node, error) {
	for _, prefix := range c.prefixes.of(addr) {
		nodes, err := c.confirmedNodes(ctx, indexPodCIDR, prefix.String(), func(node *corev1.Node) bool {
			return slices.Contains(podCIDRs(node), prefix)
		})
		if err != nil || len(nodes) > 0 {
			return nodes, err
		}
	}
	return nil, nil
}

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

package speaker

import (
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// nodeAddresses are those by which the cluster's nodes know this one.
type nodeAddresses struct {
	mu    sync.Mutex
	addrs []netip.Addr
}

func (n *nodeAddresses) set(node *corev1.Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs = internalIPs(node)
}

// internalIPs are those of a Node, none of nil.
func internalIPs(node *corev1.Node) (addrs []netip.Addr) {
	if node == nil {
		return nil
	}
	for _, a := range node.Status.Addresses {
		if addr, err := netip.ParseAddr(a.Address); err == nil && a.Type == corev1.NodeInternalIP {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

func (n *nodeAddresses) get() []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addrs
}

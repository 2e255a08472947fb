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

package agent

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// settle is how long addresses must be quiet before they are read again: a
// network set-up changes many at once.
const settle = 100 * time.Millisecond

// localAddresses are the addresses of the namespace's links that others can
// reach: no loopback, no link-local ones.
func localAddresses() ([]netip.Addr, error) {
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("listing the node's addresses: %w", err)
	}
	var addrs []netip.Addr
	for _, address := range list {
		if addr, ok := netip.AddrFromSlice(address.IP); ok && reachable(addr.Unmap()) {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs, nil
}

func reachable(addr netip.Addr) bool {
	return !addr.IsLoopback() && !addr.IsLinkLocalUnicast() && !addr.IsMulticast() && !addr.IsUnspecified()
}

// watchAddresses calls changed after the node's addresses may have changed,
// until ctx ends. If the kernel ends the subscription it opens another, and
// calls changed once, since it may have missed something.
func watchAddresses(ctx context.Context, changed func()) {
	for ctx.Err() == nil {
		if err := followAddresses(ctx, changed); err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "Can not follow the node's addresses, will try again")
			sleep(ctx, time.Second)
		}
		changed()
	}
}

func followAddresses(ctx context.Context, changed func()) error {
	updates := make(chan netlink.AddrUpdate, 64)
	done := make(chan struct{})
	defer close(done)
	var failure error
	options := netlink.AddrSubscribeOptions{ErrorCallback: func(err error) { failure = err }}
	if err := netlink.AddrSubscribeWithOptions(updates, done, options); err != nil {
		return fmt.Errorf("subscribing to address changes: %w", err)
	}
	timer := time.NewTimer(settle) // what happened before the subscription
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-updates:
			if !open {
				return fmt.Errorf("following address changes: %w", failure)
			}
			timer.Reset(settle)
		case <-timer.C:
			changed()
		}
	}
}

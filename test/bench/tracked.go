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

package main

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// closeTimeout is for how many seconds the kernel tracks a connection that was
// reset. It is short, so that what one measurement leaves behind does not weigh
// on the next.
const closeTimeout = "net/netfilter/nf_conntrack_tcp_timeout_close"

// trackConnections opens connections until so many are tracked, for as long as
// the node exists.
func (b *bench) trackConnections(count int) error {
	if err := b.node.Do(func() error { return set(closeTimeout, "3600") }); err != nil {
		return err
	}
	for patience := time.Now().Add(time.Minute); ; {
		b.flood([]netip.AddrPort{many.frontend()}, time.Second/2)
		switch n, err := b.tracked(); {
		case err != nil:
			return err
		case n >= count:
			return nil
		case time.Now().After(patience):
			return fmt.Errorf("only %d connections are tracked after a minute: is nf_conntrack_max of the machine high enough?", n)
		}
	}
}

// tracked is how many connections the node's kernel tracks.
func (b *bench) tracked() (n int, err error) {
	err = b.node.Do(func() error {
		text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
		if err != nil {
			return err
		}
		n, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err
	})
	return n, err
}

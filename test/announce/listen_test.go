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

package announce

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// listen counts how often anybody tells everybody where an address is, from now on.
// Of the two frames for IPv4 it counts the reply.
func (b *bed) listen(addr netip.Addr) *atomic.Int64 {
	b.Helper()
	fd, _, err := packets(b.outside, addr)
	if err != nil {
		b.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	b.Cleanup(func() { close(stop); <-done; _ = unix.Close(fd) })
	count := &atomic.Int64{}
	go func() {
		defer close(done)
		buffer := make([]byte, 2048)
		for {
			select {
			case <-stop:
				return
			default:
			}
			n, err := unix.Read(fd, buffer)
			if err == nil && buffer[0]&1 == 1 && slices.ContainsFunc(b.nodes, func(at *node) bool { return at.name == b.answerer(buffer[:n], addr) }) {
				count.Add(1)
			}
		}
	}()
	return count
}

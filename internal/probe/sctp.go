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

package probe

import (
	"context"
	"fmt"
	"net/netip"

	"switchyard.dev/switchyard/internal/localcluster/echo/sctp"
)

// askSCTP speaks SCTP over raw IP, as many kernels have no SCTP sockets. It
// needs CAP_NET_RAW.
func askSCTP(ctx context.Context, r Request) (reply, error) {
	remote, err := netip.ParseAddrPort(r.Address)
	if err != nil {
		return reply{}, fmt.Errorf("address %q: %w", r.Address, err)
	}
	conn, err := sctp.Dial(ctx, remote)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = conn.Close() }()
	got := reply{port: conn.LocalAddr().Port()}
	if r.ConnectOnly {
		return got, nil
	}
	if err := conn.Send([]byte(r.Text)); err != nil {
		return got, err
	}
	answer, err := conn.Receive(ctx)
	got.text = string(answer)
	return got, err
}

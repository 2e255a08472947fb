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

package packet

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/netns"
)

// outcome is what becomes of a client, without the details.
type outcome string

// The outcomes besides the name of the server that answers.
const (
	refused outcome = "refused"
	dropped outcome = "dropped"
)

// outcome of one attempt that is expected to end as want. A drop is told by
// silence, so it takes shortPatience; for an answer a busy machine is given time.
func (w way) outcome(network string, want outcome) outcome {
	return outcomeAs(w.from, netip.Addr{}, network, w.to, want)
}

func outcomeAs(ns *netns.Namespace, source netip.Addr, network string, to netip.AddrPort, want outcome) outcome {
	limit := patience
	if want == dropped {
		limit = shortPatience
	}
	got, err := askAs(limit, ns, source, network, to)
	var failure net.Error
	switch {
	case err == nil:
		return outcome(got.server)
	case errors.Is(err, unix.ECONNREFUSED):
		return refused
	case errors.Is(err, unix.EPERM):
		return stoppedAtHome(limit, ns, network, to)
	case errors.As(err, &failure) && failure.Timeout():
		return dropped
	}
	return outcome(err.Error())
}

// stoppedAtHome tells a reject from a drop for a datagram that did not leave
// its machine: the kernel says EPERM of both, and delivers the ICMP error of a
// reject to the socket after that.
func stoppedAtHome(limit time.Duration, ns *netns.Namespace, network string, to netip.AddrPort) outcome {
	err := refusalWithin(limit, way{ns, to}, network)
	if errors.Is(err, unix.ECONNREFUSED) {
		return refused
	}
	return dropped
}

// expect fails unless the way has that outcome.
func (w way) expect(t *testing.T, network string, want outcome) {
	t.Helper()
	if got := w.outcome(network, want); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

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
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/flowtrace"
)

// FollowCommand is the hidden command that follows a flow in the network that
// it is started in.
const FollowCommand = "follow-flow"

// Seen is what became of a connection in the node's network.
type Seen struct {
	// Packets are those from the client to the destination.
	Packets []flowtrace.Packet `json:"packets"`
	// Tracked is what connection tracking remembers, nil for nothing.
	Tracked *Tracked `json:"tracked,omitempty"`
}

// Tracked is where a connection goes.
type Tracked struct {
	// Server and Client are as the endpoint sees them.
	Server netip.AddrPort `json:"server"`
	Client netip.AddrPort `json:"client"`
	// Source is the client as it was before any translation.
	Source netip.AddrPort `json:"source"`
}

// Masqueraded says whether the endpoint sees somebody else.
func (t Tracked) Masqueraded() bool { return t.Client != t.Source }

// following is the line that says that packets are seen from now on.
const following = "following"

// How long the child waits for the first packet's trace, and for another one.
const (
	firstPacket = time.Second
	nextPacket  = 150 * time.Millisecond
)

// Follow is the child's side: it follows the flow in the network of this
// process, says so on out, waits for the client's port on in, and writes what
// was Seen. An invalid source is whatever this network would send from.
func Follow(ctx context.Context, flow flowtrace.Flow, in io.Reader, out io.Writer) error {
	if !flow.Source.IsValid() {
		source, err := ownAddress(flow.Destination)
		if err != nil {
			return err
		}
		flow.Source = source
	}
	follower, err := flowtrace.Follow(flow)
	if err != nil {
		return err
	}
	defer func() { _ = follower.Close() }()
	if _, err := fmt.Fprintln(out, following); err != nil {
		return err
	}
	var port uint16
	if _, err := fmt.Fscan(in, &port); err != nil {
		return fmt.Errorf("waiting for the connection: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, firstPacket)
	defer cancel()
	packets, err := follower.Collect(ctx, nextPacket)
	if err != nil {
		return err
	}
	seen := Seen{Packets: ofPort(packets, port)}
	if seen.Tracked, err = lookUp(flow, port); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(seen)
}

// ownAddress is what the kernel would send from; nothing is sent.
func ownAddress(to netip.AddrPort) (netip.Addr, error) {
	conn, err := net.Dial("udp", to.String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("asking for the route: %w", err)
	}
	defer func() { _ = conn.Close() }()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// ofPort leaves out other connections of the same client; port 0 is not known.
func ofPort(packets []flowtrace.Packet, port uint16) []flowtrace.Packet {
	var own []flowtrace.Packet
	for _, p := range packets {
		if source := firstSource(p); port == 0 || source.Port() == port {
			own = append(own, p)
		}
	}
	return own
}

func firstSource(p flowtrace.Packet) netip.AddrPort {
	for _, step := range p.Steps {
		if step.Source.IsValid() {
			return step.Source
		}
	}
	return netip.AddrPort{}
}

// lookUp asks where connection tracking leads the flow, if it remembers it.
func lookUp(flow flowtrace.Flow, port uint16) (*Tracked, error) {
	found, ok, err := conntrack.Find(flow.Protocol, netip.AddrPortFrom(flow.Source, port), flow.Destination)
	if err != nil || !ok {
		return nil, err
	}
	return &Tracked{Server: found.Server, Client: found.Client, Source: found.Source}, nil
}

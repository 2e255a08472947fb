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

package flowtrace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// traceGroup is NFNLGRP_NFTRACE.
const traceGroup = 9

// maxSteps bounds what is kept: a busy flow makes events without end.
const maxSteps = 4096

// forever is longer than anybody waits for a first packet.
const forever = 24 * time.Hour

// Follower follows a flow from Follow to Close.
type Follower struct {
	flow Flow
	// own is the table that marks, whose steps tell nothing.
	own      string
	conn     *nfnl.Conn
	listener *nfnl.Listener
}

// Follow begins to follow flow in the network namespace of the calling thread.
// It needs CAP_NET_ADMIN there.
func Follow(flow Flow) (*Follower, error) {
	if err := flow.validate(); err != nil {
		return nil, err
	}
	f := &Follower{flow: flow}
	if err := f.open(); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("following %s %s: %w", flow.Protocol, flow.Destination, err)
	}
	return f, nil
}

func (f *Follower) open() (err error) {
	if f.listener, err = nfnl.Listen(traceGroup, nil); err != nil {
		return err
	}
	if f.conn, err = nfnl.Dial(); err != nil {
		return err
	}
	m := newMarker(f.flow, os.Getpid())
	f.own = tableFamily(m.family) + " " + m.name
	m.write()
	return f.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &m.Messages)
}

// Close removes the marks; what was sent before may still be on its way.
func (f *Follower) Close() error {
	var errs []error
	if f.conn != nil {
		errs = append(errs, f.conn.Close())
	}
	if f.listener != nil {
		errs = append(errs, f.listener.Close())
	}
	return errors.Join(errs...)
}

// Collect gathers packets until ctx is done or, after the first, no more came
// for quiet. What the kernel has told by then is gathered, also where this process
// had to wait for a processor. Packets are in the order in which they were seen first.
func (f *Follower) Collect(ctx context.Context, quiet time.Duration) ([]Packet, error) {
	var g gathering
	for while := forever; g.steps < maxSteps; while = quiet {
		err := f.listener.ReceiveFor(ctx, while, func(kind uint16, family uint8, a nfnl.Attributes) {
			if kind&0xff != unix.NFT_MSG_TRACE {
				return
			}
			if e, ok := readEvent(family, a); ok && e.step.Table != f.own {
				g.add(e)
			}
		})
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return g.packets, nil
		case err != nil && !errors.Is(err, nfnl.ErrOverrun):
			return g.packets, fmt.Errorf("following %s %s: %w", f.flow.Protocol, f.flow.Destination, err)
		}
	}
	return g.packets, nil
}

// gathering sorts events by packet.
type gathering struct {
	packets []Packet
	steps   int
}

func (g *gathering) add(e event) {
	g.steps++
	for i := range g.packets {
		if g.packets[i].ID == e.packet {
			g.packets[i].Steps = append(g.packets[i].Steps, e.step)
			return
		}
	}
	g.packets = append(g.packets, Packet{ID: e.packet, Steps: []Step{e.step}})
}

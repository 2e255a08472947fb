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

package l2

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newResponder() *Responder {
	r := New(func() ([]Interface, error) { return nil, nil }, func(netip.Addr, net.HardwareAddr) {})
	r.held.Store(held())
	return r
}

// Who can answer nobody must not take an address.
func TestNoInterfaceIsAnError(t *testing.T) {
	r := newResponder()
	if err := r.Look(t.Context()); !errors.Is(err, errNoInterface) {
		t.Errorf("the error is %v", err)
	}
	if r.Open() {
		t.Error("it can answer")
	}
}

// Without them switches that look at group memberships ask nobody, and nothing
// else would make the kernel try once more.
func TestAGroupThatCanNotBeJoinedIsTriedAgain(t *testing.T) {
	r := newResponder()
	p := &port{card: here, index: 7, name: "eth0", groups: map[netip.Addr]int{}}
	r.ports[p.index] = p
	possible := false
	p.join = func(netip.Addr) (int, error) {
		if !possible {
			return 0, unix.EMFILE
		}
		return unix.Open(os.DevNull, unix.O_CLOEXEC, 0)
	}
	chosen := []Interface{{Index: 7, Name: "eth0", mac: here.mac, linkLocal: here.linkLocal}}
	r.Set([]netip.Addr{vip4, vip6})
	if err := r.use(t.Context(), chosen); !errors.Is(err, unix.EMFILE) {
		t.Errorf("the error is %v", err)
	}
	possible = true
	if err := r.use(t.Context(), chosen); err != nil {
		t.Error(err)
	}
	if len(p.groups) != 1 {
		t.Errorf("it is in %d groups", len(p.groups))
	}
	if err := r.use(t.Context(), nil); !errors.Is(err, errNoInterface) || len(p.groups) > 0 {
		t.Errorf("the error is %v and it is in %d groups at the end", err, len(p.groups))
	}
}

// Frames wait in the sockets of a process that is stopped, and by then the address
// may be another node's.
func TestWhoWasStoppedAnswersNothingAtFirst(t *testing.T) {
	r := newResponder()
	ask, claim := solicitation(other, client6, vip6), gratuitousARP(other, vip4)[0]
	start := time.Unix(100, 0)
	for _, alive := range []time.Duration{0, 900 * time.Millisecond} {
		r.Alive(start.Add(alive))
	}
	for _, c := range []struct {
		at      time.Duration
		alive   bool
		answers bool
	}{
		{1800 * time.Millisecond, false, true},
		{2 * time.Second, false, false},
		{10 * time.Second, true, false},
		{10400 * time.Millisecond, true, false},
		{10600 * time.Millisecond, true, true},
	} {
		now := start.Add(c.at)
		if c.alive {
			r.Alive(now)
		}
		if reply, _ := r.react(now, here, ask); (reply != nil) != c.answers {
			t.Errorf("after %v it answers: %v, want %v", c.at, reply != nil, c.answers)
		}
		if _, claimed := r.react(now, here, claim); claimed != vip4 {
			t.Errorf("after %v it does not hear who claims its address", c.at)
		}
	}
}

func TestAnnouncingAgainDoesNotHurry(t *testing.T) {
	r := newResponder()
	var waiting []func()
	r.later = func(_ time.Duration, do func()) { waiting = append(waiting, do) }
	r.Announce(vip4)
	r.Announce(vip4)
	r.Announce(vip6)
	for round := 1; round < times; round++ {
		if len(waiting) != 1 {
			t.Fatalf("%d timers run before round %d, want one", len(waiting), round)
		}
		next := waiting[0]
		waiting = nil
		next()
	}
	if len(waiting) > 0 {
		t.Error("it goes on for ever")
	}
}

func TestFramesOfOthersAreLeftOut(t *testing.T) {
	p := &port{index: 3}
	for name, c := range map[string]struct {
		link unix.SockaddrLinklayer
		want bool
	}{
		"to all":          {unix.SockaddrLinklayer{Ifindex: 3, Pkttype: unix.PACKET_BROADCAST}, true},
		"to us":           {unix.SockaddrLinklayer{Ifindex: 3, Pkttype: unix.PACKET_HOST}, true},
		"of a VLAN above": {unix.SockaddrLinklayer{Ifindex: 4, Pkttype: unix.PACKET_BROADCAST}, false},
		"to another":      {unix.SockaddrLinklayer{Ifindex: 3, Pkttype: unix.PACKET_OTHERHOST}, false},
		"by us":           {unix.SockaddrLinklayer{Ifindex: 3, Pkttype: unix.PACKET_OUTGOING}, false},
	} {
		if got := p.isFor(&c.link); got != c.want {
			t.Errorf("%s: taken %v, want %v", name, got, c.want)
		}
	}
}

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

package sctp

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var (
	epoch      = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clientAddr = netip.MustParseAddrPort("10.0.0.1:50000")
	serverAddr = netip.MustParseAddrPort("10.0.0.2:9999")
)

// wire is a client, a stack that serves, and what is between them.
type wire struct {
	t      *testing.T
	now    time.Time
	client *association
	server *stack
	answer []packet         // of the server's
	lose   func(chunk) bool // packets with such a first chunk do not arrive
	heard  [][]byte         // by the client
}

func newWire(t *testing.T, handler Handler) *wire {
	w := &wire{t: t, now: epoch, lose: func(chunk) bool { return false }}
	w.server = &stack{jar: newCookieJar(), ports: map[uint16]Handler{}, assocs: map[pair]*association{}}
	if handler != nil {
		w.server.ports[serverAddr.Port()] = handler
	}
	w.server.sent = func(p packet) { w.answer = append(w.answer, p) }
	return w
}

// carry sends packets to the server, and everything that follows, until both
// are quiet.
func (w *wire) carry(packets ...packet) {
	for len(packets) > 0 {
		for _, p := range packets {
			if !w.lose(p.chunks[0]) {
				w.server.handle(pair{serverAddr, clientAddr}, w.overTheWire(p), w.now)
			}
		}
		back := w.answer
		packets, w.answer = nil, nil
		for _, p := range back {
			if !w.lose(p.chunks[0]) {
				r := w.client.receive(w.overTheWire(p), w.now)
				w.heard = append(w.heard, r.messages...)
				packets = append(packets, r.packets...)
			}
		}
	}
}

func (w *wire) overTheWire(p packet) packet {
	w.t.Helper()
	got, err := parse(p.marshal())
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func (w *wire) open() {
	w.t.Helper()
	client, first := newClient(clientAddr, serverAddr, 77, 1000, w.now)
	w.client = client
	w.carry(first)
}

// wait lets time pass in steps, so that both send again what got lost.
func (w *wire) wait(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(250 * time.Millisecond)
		w.server.tick(w.now)
		w.carry(w.client.tick(w.now)...)
		back := w.answer
		w.answer = nil
		for _, p := range back {
			if !w.lose(p.chunks[0]) {
				r := w.client.receive(w.overTheWire(p), w.now)
				w.heard = append(w.heard, r.messages...)
				w.carry(r.packets...)
			}
		}
	}
}

func upper(m Message) []byte { return bytes.ToUpper(m.Data) }

func TestAnAssociationOpensExchangesAndCloses(t *testing.T) {
	w := newWire(t, upper)
	w.open()
	if w.client.state != stateEstablished || len(w.server.assocs) != 1 {
		t.Fatalf("client in state %d, server with %d associations", w.client.state, len(w.server.assocs))
	}
	long := strings.Repeat("fragment ", 700) // six of them
	for _, message := range []string{"hello", "again", long} {
		packets, err := w.client.send([]byte(message), w.now)
		if err != nil {
			t.Fatal(err)
		}
		w.carry(packets...)
		if got := string(w.heard[len(w.heard)-1]); got != strings.ToUpper(message) {
			t.Errorf("answer %.40q of %d bytes to %.40q of %d", got, len(got), message, len(message))
		}
	}
	if len(w.client.unacked) != 0 {
		t.Errorf("%d chunks are not acknowledged", len(w.client.unacked))
	}
	w.carry(w.client.close(w.now)...)
	if w.client.state != stateClosed || w.client.err != nil || len(w.server.assocs) != 0 {
		t.Errorf("after closing: state %d, error %v, server with %d associations", w.client.state, w.client.err, len(w.server.assocs))
	}
}

func TestAnInitThatIsSentAgainHasTheSameAnswer(t *testing.T) {
	w := newWire(t, upper)
	ask := func(tag uint32) initBody {
		t.Helper()
		_, first := newClient(clientAddr, serverAddr, tag, 1000, w.now)
		w.server.handle(pair{serverAddr, clientAddr}, w.overTheWire(first), w.now)
		w.now = w.now.Add(time.Second)
		body, err := parseInit(w.answer[len(w.answer)-1].chunks[0].value)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	first, again, other := ask(77), ask(77), ask(78)
	if first.tag != again.tag || first.tsn != again.tsn {
		t.Errorf("answered with tag %d and TSN %d, then %d and %d", first.tag, first.tsn, again.tag, again.tsn)
	}
	if first.tag == other.tag || first.tsn == other.tsn {
		t.Errorf("another INIT has tag %d and TSN %d as well", other.tag, other.tsn)
	}
}

func TestEveryLostPacketIsSentAgain(t *testing.T) {
	for name, kind := range map[string]chunkType{
		"INIT": chunkInit, "INIT ACK": chunkInitAck, "COOKIE ECHO": chunkCookieEcho, "COOKIE ACK": chunkCookieAck, "DATA": chunkData, "SACK": chunkSack,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWire(t, upper)
			losses := 0
			w.lose = func(c chunk) bool {
				if c.kind == kind && losses < 2 {
					losses++
					return true
				}
				return false
			}
			w.open()
			w.wait(5 * time.Second)
			packets, err := w.client.send([]byte("x"), w.now)
			if err != nil {
				t.Fatal(err)
			}
			w.carry(packets...)
			w.wait(10 * time.Second)
			if losses != 2 || len(w.heard) != 1 || string(w.heard[0]) != "X" || len(w.client.unacked) != 0 {
				t.Errorf("%d losses, heard %q, %d not acknowledged", losses, w.heard, len(w.client.unacked))
			}
		})
	}
}

func TestAClosedPortAborts(t *testing.T) {
	w := newWire(t, nil)
	w.open()
	if !errors.Is(w.client.err, ErrAborted) {
		t.Errorf("error %v, want %v", w.client.err, ErrAborted)
	}
}

func TestASilentPeerTimesOut(t *testing.T) {
	w := newWire(t, upper)
	w.lose = func(chunk) bool { return true }
	w.open()
	w.wait(time.Minute)
	if !errors.Is(w.client.err, ErrTimeout) {
		t.Errorf("error %v, want %v", w.client.err, ErrTimeout)
	}
}

func TestAnInitCostsTheServerNothing(t *testing.T) {
	w := newWire(t, upper)
	w.lose = func(c chunk) bool { return c.kind == chunkInitAck }
	for range 100 {
		w.open()
	}
	if len(w.server.assocs) != 0 {
		t.Errorf("%d associations after INITs alone", len(w.server.assocs))
	}
}

func TestHeartbeatsKeepAndEndAssociations(t *testing.T) {
	w := newWire(t, upper)
	w.open()
	w.wait(10 * time.Minute)
	if len(w.server.assocs) != 1 || w.client.state != stateEstablished {
		t.Fatalf("server with %d associations, client in state %d after ten idle minutes", len(w.server.assocs), w.client.state)
	}
	w.lose = func(chunk) bool { return true }
	w.wait(10 * time.Minute)
	if len(w.server.assocs) != 0 || !errors.Is(w.client.err, ErrTimeout) {
		t.Errorf("server with %d associations, client error %v after the wire was cut", len(w.server.assocs), w.client.err)
	}
}

func TestCookiesAreOursFreshAndForOnePeer(t *testing.T) {
	jar := newCookieJar()
	made := cookie{local: serverAddr, peer: clientAddr, localTag: 1, peerTag: 2, localTSN: 3, peerTSN: 4, issued: epoch}
	sealed := jar.seal(made)
	got, err := jar.open(sealed, epoch.Add(time.Second))
	if err != nil || got.local != made.local || got.peer != made.peer || got.localTag != 1 || got.peerTag != 2 || got.localTSN != 3 || got.peerTSN != 4 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := jar.open(sealed, epoch.Add(2*cookieLife)); !errors.Is(err, errStaleCookie) {
		t.Errorf("old cookie: %v", err)
	}
	if _, err := newCookieJar().open(sealed, epoch); !errors.Is(err, errCookie) {
		t.Errorf("another's cookie: %v", err)
	}
	sealed[3] ^= 1
	if _, err := jar.open(sealed, epoch); !errors.Is(err, errCookie) {
		t.Errorf("changed cookie: %v", err)
	}
}

func TestAWrongTagIsNotHeard(t *testing.T) {
	w := newWire(t, upper)
	w.open()
	forged := w.client.packet(chunk{kind: chunkAbort})
	forged.tag++
	w.carry(forged)
	if len(w.server.assocs) != 1 {
		t.Error("an ABORT with a guessed tag ended the association")
	}
}

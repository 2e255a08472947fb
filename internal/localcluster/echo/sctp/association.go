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
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

type state uint8

const (
	stateCookieWait   state = iota // client: INIT sent
	stateCookieEchoed              // client: COOKIE ECHO sent
	stateEstablished
	stateShutdownSent    // we asked to end
	stateShutdownAckSent // the peer asked to end
	stateClosed
)

const (
	maxMessage  = 64 << 10 // received, fragments put together
	maxFragment = 1200     // sent: fits the IPv6 minimum MTU
	maxUnacked  = 64       // chunks in flight
	window      = 128 << 10

	firstTimeout      = time.Second // RTO.Initial
	maxTimeout        = 8 * time.Second
	maxRetries        = 6
	heartbeatInterval = 30 * time.Second
	maxHeartbeats     = 5 // unanswered
)

var (
	// ErrAborted is returned when the peer, or a host on the way, ended the
	// association at once; it is what a refused connection looks like.
	ErrAborted = errors.New("SCTP association was aborted by the peer")
	// ErrTimeout is returned when the peer did not answer any more.
	ErrTimeout = errors.New("SCTP peer did not answer")
	errTooMany = errors.New("SCTP association has too much unacknowledged data")
)

// association is one association, either end. It does no I/O: receive, send,
// close and tick return the packets to send.
type association struct {
	local, peer       netip.AddrPort
	localTag, peerTag uint32
	state             state
	err               error // why it is closed, nil after an orderly end

	nextTSN  uint32
	sequence uint16
	unacked  []outgoing // also the one control chunk that awaits its answer

	received    uint32 // cumulative TSN
	partial     []byte // fragments so far
	lastHeard   time.Time
	nextBeat    time.Time
	missedBeats int
}

// outgoing is a chunk that is sent again until it is answered.
type outgoing struct {
	chunk   chunk
	tag     uint32
	tsn     uint32
	isData  bool
	retries int
	timeout time.Duration
	due     time.Time
}

// results is what a packet led to.
type results struct {
	packets  []packet
	messages [][]byte
}

// newClient is an association that begins with the packet it returns.
func newClient(local, peer netip.AddrPort, tag, tsn uint32, now time.Time) (*association, packet) {
	a := &association{local: local, peer: peer, localTag: tag, nextTSN: tsn, state: stateCookieWait}
	body := initBody{tag: tag, window: window, out: 1, in: 1, tsn: tsn}
	return a, a.control(chunk{kind: chunkInit, value: body.marshal()}, now)
}

// newServer is the association that an accepted cookie describes.
func newServer(c cookie, now time.Time) *association {
	return &association{
		local: c.local, peer: c.peer, localTag: c.localTag, peerTag: c.peerTag,
		nextTSN: c.localTSN, received: c.peerTSN - 1,
		state: stateEstablished, lastHeard: now, nextBeat: now.Add(heartbeatInterval),
	}
}

// receive handles a packet from the peer.
func (a *association) receive(p packet, now time.Time) results {
	var r results
	if !a.accepts(p) {
		return r
	}
	a.lastHeard = now
	gotData := false
	for _, c := range p.chunks {
		if a.state == stateClosed {
			break
		}
		switch c.kind {
		case chunkInitAck:
			a.onInitAck(c, now, &r)
		case chunkCookieAck:
			if a.state == stateCookieEchoed {
				a.state, a.unacked, a.nextBeat = stateEstablished, nil, now.Add(heartbeatInterval)
			}
		case chunkData:
			gotData = true
			a.onData(c, &r)
		case chunkSack:
			a.onSack(c)
		case chunkHeartbeat:
			r.packets = append(r.packets, a.packet(chunk{kind: chunkHeartbeatAck, value: c.value}))
		case chunkHeartbeatAck:
			a.missedBeats = 0
		case chunkAbort:
			a.end(ErrAborted)
		case chunkError:
			a.onError(c)
		case chunkShutdown:
			if len(c.value) >= 4 {
				a.acknowledge(binary.BigEndian.Uint32(c.value))
			}
			a.unacked, a.state = nil, stateShutdownAckSent
			r.packets = append(r.packets, a.control(chunk{kind: chunkShutdownAck}, now))
		case chunkShutdownAck:
			r.packets = append(r.packets, a.packet(chunk{kind: chunkShutdownComplete}))
			a.end(nil)
		case chunkShutdownComplete:
			if a.state == stateShutdownAckSent {
				a.end(nil)
			}
		}
	}
	if gotData && a.state != stateClosed {
		r.packets = append(r.packets, a.packet(chunk{kind: chunkSack, value: marshalSack(a.received, window)}))
	}
	return r
}

// accepts applies the rules of section 8.5 to the verification tag.
func (a *association) accepts(p packet) bool {
	if p.tag == a.localTag {
		return true
	}
	first := p.chunks[0]
	reflected := first.kind == chunkAbort || first.kind == chunkShutdownComplete
	return reflected && first.flags&flagReflected != 0 && p.tag == a.peerTag && a.peerTag != 0
}

func (a *association) onInitAck(c chunk, now time.Time, r *results) {
	if a.state != stateCookieWait {
		return
	}
	body, err := parseInit(c.value)
	if err != nil || body.cookie == nil {
		return
	}
	a.peerTag, a.received, a.unacked, a.state = body.tag, body.tsn-1, nil, stateCookieEchoed
	r.packets = append(r.packets, a.control(chunk{kind: chunkCookieEcho, value: append([]byte(nil), body.cookie...)}, now))
}

// onData takes chunks in order only; one that came too early is sent again.
func (a *association) onData(c chunk, r *results) {
	body, err := parseData(c.value)
	if err != nil || body.tsn != a.received+1 {
		return
	}
	if a.state != stateEstablished && a.state != stateShutdownSent {
		return
	}
	a.received++
	if c.flags&flagBegin != 0 {
		a.partial = nil
	}
	if len(a.partial)+len(body.user) > maxMessage {
		r.packets = append(r.packets, a.abort())
		return
	}
	a.partial = append(a.partial, body.user...)
	if c.flags&flagEnd != 0 {
		r.messages = append(r.messages, a.partial)
		a.partial = nil
	}
}

func (a *association) onSack(c chunk) {
	if len(c.value) >= 12 {
		a.acknowledge(binary.BigEndian.Uint32(c.value))
	}
}

func (a *association) acknowledge(tsn uint32) {
	kept := a.unacked[:0]
	for _, out := range a.unacked {
		if !out.isData || int32(out.tsn-tsn) > 0 {
			kept = append(kept, out)
		}
	}
	a.unacked = kept
}

// onError ends a client whose cookie was refused; other causes are reports.
func (a *association) onError(c chunk) {
	const staleCookie = 3
	if a.state == stateCookieEchoed && len(c.value) >= 2 && binary.BigEndian.Uint16(c.value) == staleCookie {
		a.end(errStaleCookie)
	}
}

// send queues a message and returns its packets.
func (a *association) send(message []byte, now time.Time) ([]packet, error) {
	if a.state != stateEstablished {
		return nil, errors.New("SCTP association is not established")
	}
	if len(a.unacked)+len(message)/maxFragment+1 > maxUnacked {
		return nil, errTooMany
	}
	var packets []packet
	flags := uint8(flagBegin)
	for first := true; first || len(message) > 0; first = false {
		part := message[:min(len(message), maxFragment)]
		message = message[len(part):]
		if len(message) == 0 {
			flags |= flagEnd
		}
		body := dataBody{tsn: a.nextTSN, sequence: a.sequence, user: part}
		c := chunk{kind: chunkData, flags: flags, value: body.marshal()}
		a.track(outgoing{chunk: c, tsn: a.nextTSN, isData: true}, now)
		packets = append(packets, a.packet(c))
		a.nextTSN++
		flags = 0
	}
	a.sequence++
	return packets, nil
}

// close begins an orderly end.
func (a *association) close(now time.Time) []packet {
	if a.state != stateEstablished {
		a.end(nil)
		return nil
	}
	a.unacked, a.state = nil, stateShutdownSent
	value := binary.BigEndian.AppendUint32(nil, a.received)
	return []packet{a.control(chunk{kind: chunkShutdown, value: value}, now)}
}

// abort ends the association at once.
func (a *association) abort() packet {
	p := a.packet(chunk{kind: chunkAbort})
	a.end(ErrAborted)
	return p
}

// tick sends again what was not answered in time, and heartbeats.
func (a *association) tick(now time.Time) []packet {
	var packets []packet
	for i := range a.unacked {
		out := &a.unacked[i]
		if now.Before(out.due) {
			continue
		}
		if out.retries++; out.retries > maxRetries {
			a.end(ErrTimeout)
			return packets
		}
		out.timeout = min(2*out.timeout, maxTimeout)
		out.due = now.Add(out.timeout)
		p := a.packet(out.chunk)
		p.tag = out.tag
		packets = append(packets, p)
	}
	if a.state != stateEstablished || now.Before(a.nextBeat) {
		return packets
	}
	if a.missedBeats++; a.missedBeats > maxHeartbeats {
		a.end(ErrTimeout)
		return packets
	}
	a.nextBeat = now.Add(heartbeatInterval)
	info := binary.BigEndian.AppendUint64([]byte{0, 1, 0, 12}, uint64(now.UnixNano()))
	return append(packets, a.packet(chunk{kind: chunkHeartbeat, value: info}))
}

// control is a packet with a chunk that awaits its own answer.
func (a *association) control(c chunk, now time.Time) packet {
	a.track(outgoing{chunk: c}, now)
	return a.packet(c)
}

func (a *association) track(out outgoing, now time.Time) {
	out.tag, out.timeout, out.due = a.peerTag, firstTimeout, now.Add(firstTimeout)
	a.unacked = append(a.unacked, out)
}

func (a *association) packet(c chunk) packet {
	return packet{src: a.local.Port(), dst: a.peer.Port(), tag: a.peerTag, chunks: []chunk{c}}
}

func (a *association) end(err error) {
	a.state, a.err, a.unacked = stateClosed, err, nil
}

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
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"switchyard.dev/switchyard/test/testenv/process"
)

// answerPatience is how long an answer is waited for. On this machine none is late
// without being lost.
const answerPatience = time.Second

// asker is a client that has one question at a time.
type asker struct {
	conn *net.UDPConn
	id   uint16
	// questions and answers are written here.
	packet, buffer [1500]byte
}

// dnsServer is where the server under test is.
var dnsServer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), dnsPort)

func newAsker(to netip.AddrPort) (*asker, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	return &asker{conn: conn}, err
}

// ask sends a question and returns the answer, which is there until the next.
func (a *asker) ask(q question) ([]byte, error) {
	a.id++
	n := copy(a.packet[:], q.packet)
	binary.BigEndian.PutUint16(a.packet[:], a.id)
	if _, err := a.conn.Write(a.packet[:n]); err != nil {
		return nil, err
	}
	for {
		n, err := a.conn.Read(a.buffer[:])
		if err != nil {
			return nil, err
		}
		if n >= headerBytes && binary.BigEndian.Uint16(a.buffer[:]) == a.id {
			return a.buffer[:n], nil
		}
	}
}

// within bounds how long answers are waited for from now on.
func (a *asker) within(patience time.Duration) { _ = a.conn.SetReadDeadline(time.Now().Add(patience)) }

// awaitRight asks all questions over and over until each has been answered right.
func awaitRight(ctx context.Context, p *process.Process, questions []question) error {
	a, err := newAsker(dnsServer)
	if err != nil {
		return err
	}
	defer func() { _ = a.conn.Close() }()
	began := time.Now()
	for _, q := range questions {
		for {
			a.within(attemptPatience)
			answer, err := a.ask(q)
			if err == nil && q.right(answer) {
				break
			}
			if time.Since(began) > startPatience {
				if err == nil {
					err = fmt.Errorf("%x is wrong", answer)
				}
				return fmt.Errorf("no right answer after %v: %w", startPatience, err)
			}
			if err := errors.Join(p.Alive(), ctx.Err()); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// load has clients ask for a while, as often as they can if rate is 0, and adds
// what they saw to into. Each turn begins elsewhere in the questions, both servers'
// at the same place.
func (b *dnsBench) load(p *process.Process, turn, rate int, into *loadTurns) error {
	if err := b.ask(turn, rate, b.options.queries/8, &loadTurns{}); err != nil { // to warm up
		return err
	}
	before, err := p.CPU()
	if err != nil {
		return err
	}
	if err := b.ask(turn, rate, b.options.queries, into); err != nil {
		return err
	}
	after, err := p.CPU()
	into.cpu += after - before
	return err
}

func (b *dnsBench) ask(turn, rate int, length time.Duration, into *loadTurns) error {
	var mu sync.Mutex
	var failed error
	var group sync.WaitGroup
	var pace time.Duration
	if rate > 0 {
		pace = time.Second * askers / time.Duration(rate)
	}
	began := time.Now()
	for n := range askers {
		a, err := newAsker(dnsServer)
		if err != nil {
			failed = err
			break
		}
		from := (n*b.options.dnsTurns + turn) * len(b.questions) / (askers * b.options.dnsTurns)
		group.Go(func() {
			seen, err := a.askAlone(b.questions, from, began.Add(pace*time.Duration(n)/askers), pace, began.Add(length))
			mu.Lock()
			defer mu.Unlock()
			into.took = append(into.took, seen.took...)
			into.wrong, into.lost = into.wrong+seen.wrong, into.lost+seen.lost
			failed = errors.Join(failed, err)
		})
	}
	group.Wait()
	into.length += time.Since(began)
	return failed
}

// askAlone asks one question after the other until the end, each at its time. One
// that had to wait for the answer to another waits since its time.
func (a *asker) askAlone(questions []question, from int, next time.Time, pace time.Duration, end time.Time) (seen loadTurns, err error) {
	defer func() { _ = a.conn.Close() }()
	seen.took = make([]time.Duration, 0, 1<<16)
	answered := time.Now()
	for n := from; answered.Before(end); n++ {
		q := questions[n%len(questions)]
		since := answered
		if pace > 0 {
			if answered.Before(next) {
				time.Sleep(time.Until(next))
				since = time.Now()
			} else {
				since = next
			}
			next = next.Add(pace)
		}
		if n%64 == from%64 || pace > 0 {
			a.within(answerPatience)
		}
		answer, err := a.ask(q)
		answered = time.Now()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			seen.lost++
			a.within(answerPatience)
			continue
		case err != nil:
			return seen, err
		case !q.right(answer):
			seen.wrong++
		}
		seen.took = append(seen.took, answered.Sub(since))
	}
	return seen, nil
}

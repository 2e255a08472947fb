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

package nfnl

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// dumpAttempts bounds how often a dump is begun again because the table
// changed under it.
const dumpAttempts = 5

// Request sends one message and waits for its outcome.
func (c *Conn) Request(m *Messages) error {
	m.addFlags(0, unix.NLM_F_ACK)
	m.seal()
	c.discard()
	if err := c.send(m.buf); err != nil {
		return err
	}
	return c.replies(m, 1)
}

// Dump sends one message that asks for a list, and hands the attributes of
// each entry to each, which must not keep them. When the list changed
// meanwhile it begins again after calling restart, which forgets what was
// seen so far.
func (c *Conn) Dump(m *Messages, restart func(), each func(family uint8, entry Attributes)) error {
	m.addFlags(0, unix.NLM_F_DUMP)
	m.seal()
	var err error
	for attempt := range dumpAttempts {
		time.Sleep(time.Duration(attempt) * 10 * time.Millisecond)
		restart()
		if err = c.dump(m, each); !passing(err) {
			return err
		}
	}
	return fmt.Errorf("%s, %d times in a row: %w", m.about[0], dumpAttempts, err)
}

// errInterrupted means that a transaction was committed while a list was read.
// The kernel counts those of all tables together, and says so for tables,
// chains, sets and rules, but not for elements (6.18).
var errInterrupted = fmt.Errorf("a transaction was committed meanwhile: %w", unix.EINTR)

func (c *Conn) dump(m *Messages, each func(uint8, Attributes)) error {
	c.discard()
	if err := c.send(m.buf); err != nil {
		return err
	}
	done, interrupted := false, false
	for !done {
		err := c.receive(true, func(header unix.NlMsghdr, body []byte) error {
			interrupted = interrupted || header.Flags&unix.NLM_F_DUMP_INTR != 0
			switch header.Type {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				done = true
				if err := errno(body); err != nil {
					return m.refusal(1, err)
				}
			default:
				if len(body) >= 4 {
					each(body[0], Attributes(body[4:]))
				}
			}
			return nil
		})
		var refused *MessageError
		switch {
		case errors.As(err, &refused):
			return err
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("%s: %w", m.about[0], os.NewSyscallError("recvfrom", err))
		}
	}
	if interrupted {
		return errInterrupted
	}
	return nil
}

// requestChunk keeps the outcomes of requests that are sent together within
// the receive buffer.
const requestChunk = 512

// RequestEach sends n independent requests, which fill appends, many at a time.
// It counts those carried out; ENOENT means that someone was faster and is
// neither counted nor an error.
func (c *Conn) RequestEach(n int, fill func(m *Messages, i int)) (done int, err error) {
	for first := 0; first < n; first += requestChunk {
		var m Messages
		for i := first; i < min(first+requestChunk, n); i++ {
			fill(&m, i)
			m.addFlags(i-first, unix.NLM_F_ACK)
		}
		m.seal()
		c.discard()
		if err := c.send(m.buf); err != nil {
			return done, err
		}
		ok, err := c.outcomes(&m)
		done += ok
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (c *Conn) outcomes(m *Messages) (done int, err error) {
	var refused []error
	for answered := 0; answered < m.Len(); {
		err := c.receive(false, func(header unix.NlMsghdr, body []byte) error {
			if header.Type != unix.NLMSG_ERROR {
				return nil
			}
			answered++
			err := errno(body)
			switch {
			case err == nil:
				done++
			case !errors.Is(err, unix.ENOENT):
				refused = append(refused, m.refusal(header.Seq, err))
			}
			return nil
		})
		if err != nil && !errors.Is(err, unix.EINTR) {
			return done, fmt.Errorf("reading the outcome of requests: %w", err)
		}
	}
	return done, errors.Join(refused...)
}

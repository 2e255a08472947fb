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
	"time"

	"golang.org/x/sys/unix"
)

// commitAttempts bounds how often a transaction is sent that the kernel turned
// down for a passing reason.
const commitAttempts = 5

// MessageError is the kernel's refusal of one message. Errors.Is sees the
// error number.
type MessageError struct {
	// About is what the message was to do.
	About string
	Errno unix.Errno
}

func (e *MessageError) Error() string {
	if e.Errno == unix.EPERM {
		return e.About + ": the capability CAP_NET_ADMIN is missing in the user namespace that owns this network namespace: run as root or grant it"
	}
	return e.About + ": " + e.Errno.Error()
}

// Unwrap is the error number.
func (e *MessageError) Unwrap() error { return e.Errno }

// ErrUnknownOutcome means that the kernel may have carried out a transaction
// or not: its answer was lost.
var ErrUnknownOutcome = errors.New("the outcome of a transaction is not known")

// Commit carries out all messages of m or none, for subsystem (an
// NFNL_SUBSYS number), and tries again when the kernel turns it down for a
// reason that passes. After ErrUnknownOutcome only a new listing tells.
func (c *Conn) Commit(subsystem uint8, m *Messages) error {
	err := c.transact(subsystem, m, true)
	for attempt := 1; attempt < commitAttempts && passing(err); attempt++ {
		time.Sleep(time.Duration(attempt) * 10 * time.Millisecond)
		err = c.transact(subsystem, m, true)
	}
	return err
}

// Rehearse has the kernel carry out m like Commit, and then undo all of it:
// the transaction is never ended, and that aborts it. The errors of all
// refused messages are joined.
func (c *Conn) Rehearse(subsystem uint8, m *Messages) error {
	return c.transact(subsystem, m, false)
}

// passing is true for what goes away by itself: a chain or module that is
// still referenced by an earlier transaction's clean-up, a signal, memory that
// is short. With any of these nothing was changed.
func passing(err error) bool {
	var number unix.Errno
	if errors.Is(err, ErrUnknownOutcome) || !errors.As(err, &number) {
		return false
	}
	switch number {
	case unix.EBUSY, unix.EINTR, unix.EAGAIN, unix.ENOBUFS, unix.ENOMEM:
		return true
	}
	return false
}

func (c *Conn) transact(subsystem uint8, m *Messages, commit bool) error {
	batch := &c.batch
	defer batch.Reset()
	batch.begin(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, uint16(subsystem), "beginning a transaction")
	batch.append(m)
	last := batch.Len()
	batch.addFlags(last-1, unix.NLM_F_ACK)
	if commit {
		batch.begin(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, uint16(subsystem), "committing")
	}
	batch.seal()
	c.discard()
	if err := c.send(batch.buf); err != nil {
		return err
	}
	return c.replies(batch, uint32(last))
}

// replies reads what the kernel answered. It did so before send returned, so
// an empty queue means there is no more.
func (c *Conn) replies(batch *Messages, last uint32) error {
	var refused []error
	acknowledged := false
	for {
		err := c.receive(false, func(header unix.NlMsghdr, body []byte) error {
			if header.Type != unix.NLMSG_ERROR {
				return nil
			}
			if err := errno(body); err != nil {
				refused = append(refused, batch.refusal(header.Seq, err))
			} else if header.Seq == last {
				acknowledged = true
			}
			return nil
		})
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && (acknowledged || len(refused) > 0):
			return errors.Join(refused...)
		case err != nil:
			return fmt.Errorf("%w: %w", ErrUnknownOutcome, errors.Join(append(refused, err)...))
		}
	}
}

func (m *Messages) refusal(seq uint32, err error) error {
	about := "transaction"
	if seq >= 1 && int(seq) <= len(m.about) {
		about = m.about[seq-1]
	}
	var number unix.Errno
	errors.As(err, &number)
	return &MessageError{About: about, Errno: number}
}

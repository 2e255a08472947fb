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

package nfnltest

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
)

// Point is where something fails.
type Point uint8

// The points.
const (
	// SendCommit: a transaction does not reach the kernel.
	SendCommit Point = iota
	// Commit: the kernel answers that it did not carry out a transaction.
	Commit
	// Outcome: a transaction is carried out, but its outcome can not be read.
	Outcome
	// Dump: the kernel refuses to begin a list.
	Dump
	// DumpChanged: a list is complete, but marked as changed on the way; the
	// error number has no meaning.
	DumpChanged
)

// Faults are failures to come, for all sockets dialed through it. The zero
// value has none. It is safe for concurrent use.
type Faults struct {
	// SendLimit is the largest packet that can be sent, 0 for the socket's own.
	SendLimit int

	mu    sync.Mutex
	fails map[Point][]unix.Errno
}

// Add makes the next times at a point fail; with error number 0 they pass.
func (f *Faults) Add(at Point, errno unix.Errno, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails == nil {
		f.fails = map[Point][]unix.Errno{}
	}
	for range times {
		f.fails[at] = append(f.fails[at], errno)
	}
}

// Clear takes back all failures that have not happened yet.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.fails)
}

// Left counts the failures that have not happened yet.
func (f *Faults) Left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, list := range f.fails {
		n += len(list)
	}
	return n
}

// take is the next failure at a point, 0 for none.
func (f *Faults) take(at Point) unix.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.fails[at]
	if len(list) == 0 {
		return 0
	}
	f.fails[at] = list[1:]
	return list[0]
}

// Dial is nfnl.Dial, with the failures.
func (f *Faults) Dial() (*nfnl.Conn, error) {
	kernel, err := nfnl.OpenSocket()
	if err != nil {
		return nil, err
	}
	return nfnl.NewConn(&socket{Socket: kernel, faults: f}), nil
}

// socket is one socket between a Conn and the kernel.
type socket struct {
	nfnl.Socket
	faults *Faults
	// answer is what Receive makes up next in the kernel's place.
	answer []byte
	// lost is what the next Receive fails with.
	lost unix.Errno
	// mark is true until the first packet of a list was marked as changed.
	mark bool
}

func (s *socket) SendLimit() int {
	if limit := s.faults.SendLimit; limit > 0 {
		return limit
	}
	return s.Socket.SendLimit()
}

func (s *socket) Send(data []byte) error {
	s.answer, s.lost, s.mark = nil, 0, false
	if len(data) > s.SendLimit() {
		return unix.EMSGSIZE
	}
	switch {
	case isDump(data):
		if errno := s.faults.take(Dump); errno != 0 {
			s.answer = refusal(data, errno)
			return nil
		}
		s.mark = s.faults.take(DumpChanged) != 0
	case isCommit(data):
		if errno := s.faults.take(SendCommit); errno != 0 {
			return errno
		}
		if errno := s.faults.take(Commit); errno != 0 {
			s.answer = refusal(data, errno)
			return nil
		}
		s.lost = s.faults.take(Outcome)
	}
	return s.Socket.Send(data)
}

func (s *socket) Receive(buf []byte, wait bool) (int, error) {
	if s.answer != nil {
		n := copy(buf, s.answer)
		s.answer = nil
		return n, nil
	}
	if errno := s.lost; errno != 0 {
		s.lost = 0
		return 0, errno
	}
	n, err := s.Socket.Receive(buf, wait)
	if s.mark && n >= unix.NLMSG_HDRLEN {
		s.mark = false
		flags := binary.NativeEndian.Uint16(buf[6:])
		binary.NativeEndian.PutUint16(buf[6:], flags|unix.NLM_F_DUMP_INTR)
	}
	return n, err
}

func isDump(data []byte) bool {
	return binary.NativeEndian.Uint16(data[6:])&unix.NLM_F_DUMP == unix.NLM_F_DUMP && !beginsBatch(data)
}

func beginsBatch(data []byte) bool {
	return binary.NativeEndian.Uint16(data[4:]) == unix.NFNL_MSG_BATCH_BEGIN
}

// isCommit tells a transaction from a rehearsal, which has no end.
func isCommit(data []byte) bool {
	if !beginsBatch(data) {
		return false
	}
	kind := uint16(0)
	for len(data) >= unix.NLMSG_HDRLEN {
		size := int(binary.NativeEndian.Uint32(data))
		kind = binary.NativeEndian.Uint16(data[4:])
		data = data[min((size+3)&^3, len(data)):]
	}
	return kind == unix.NFNL_MSG_BATCH_END
}

// refusal is the kernel's error for the first message of data.
func refusal(data []byte, errno unix.Errno) []byte {
	var m []byte
	m = binary.NativeEndian.AppendUint32(m, unix.NLMSG_HDRLEN+4+unix.NLMSG_HDRLEN)
	m = binary.NativeEndian.AppendUint16(m, unix.NLMSG_ERROR)
	m = binary.NativeEndian.AppendUint16(m, 0)
	m = append(m, data[8:16]...)
	m = binary.NativeEndian.AppendUint32(m, uint32(-int32(errno)))
	return append(m, data[:unix.NLMSG_HDRLEN]...)
}

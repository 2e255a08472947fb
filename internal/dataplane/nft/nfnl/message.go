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
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// headerSize is a netlink header and the nfgenmsg after it.
const headerSize = unix.NLMSG_HDRLEN + 4

// Messages is a growing list of nfnetlink messages, encoded as they are
// appended. The zero value is empty.
type Messages struct {
	buf    []byte
	starts []int
	// about says what each message does, for the error that names it.
	about []string
}

// keptBuffer is how many bytes a Messages holds on to for its next use.
const keptBuffer = 1 << 20

// Reset empties m and keeps what it has room in, unless that is a lot.
func (m *Messages) Reset() {
	if cap(m.buf) > keptBuffer {
		*m = Messages{}
		return
	}
	clear(m.about) // the phrases of a large transaction are not to stay
	*m = Messages{m.buf[:0], m.starts[:0], m.about[:0]}
}

// Len is the number of messages.
func (m *Messages) Len() int { return len(m.starts) }

// Size is the encoded size in bytes.
func (m *Messages) Size() int { return len(m.buf) }

// Begin starts a message: kind is subsystem<<8|command, family a NFPROTO or
// AF number, about a phrase like "adding set x" for errors. Its attributes are
// appended until the next Begin.
func (m *Messages) Begin(kind uint16, flags uint16, family uint8, about string) {
	m.begin(kind, flags, family, 0, about)
}

func (m *Messages) begin(kind, flags uint16, family uint8, resource uint16, about string) {
	m.seal()
	m.starts = append(m.starts, len(m.buf))
	m.about = append(m.about, about)
	m.buf = binary.NativeEndian.AppendUint32(m.buf, 0)
	m.buf = binary.NativeEndian.AppendUint16(m.buf, kind)
	m.buf = binary.NativeEndian.AppendUint16(m.buf, flags|unix.NLM_F_REQUEST)
	m.buf = binary.NativeEndian.AppendUint32(m.buf, uint32(len(m.starts)))
	m.buf = binary.NativeEndian.AppendUint32(m.buf, 0)
	m.buf = append(m.buf, family, unix.NFNETLINK_V0)
	m.buf = binary.BigEndian.AppendUint16(m.buf, resource)
}

// LastAttributes are the attributes of the last message.
func (m *Messages) LastAttributes() Attributes {
	return Attributes(m.buf[m.starts[len(m.starts)-1]+headerSize:])
}

// seal writes the length of the last message.
func (m *Messages) seal() {
	if len(m.starts) > 0 {
		start := m.starts[len(m.starts)-1]
		binary.NativeEndian.PutUint32(m.buf[start:], uint32(len(m.buf)-start))
	}
}

func (m *Messages) addFlags(i int, flags uint16) {
	at := m.buf[m.starts[i]+6:]
	binary.NativeEndian.PutUint16(at, binary.NativeEndian.Uint16(at)|flags)
}

// append adds all messages of o, numbered on.
func (m *Messages) append(o *Messages) {
	m.seal()
	o.seal()
	base := len(m.buf)
	m.buf = append(m.buf, o.buf...)
	for i, start := range o.starts {
		m.starts = append(m.starts, base+start)
		m.about = append(m.about, o.about[i])
		binary.NativeEndian.PutUint32(m.buf[base+start+8:], uint32(len(m.starts)))
	}
}

// Bytes appends an attribute.
func (m *Messages) Bytes(kind uint16, value []byte) {
	m.header(kind, len(value))
	m.buf = append(m.buf, value...)
	m.pad()
}

// Raw is Bytes of a string without a final zero.
func (m *Messages) Raw(kind uint16, value string) {
	m.header(kind, len(value))
	m.buf = append(m.buf, value...)
	m.pad()
}

// String appends a zero-terminated text.
func (m *Messages) String(kind uint16, value string) {
	m.header(kind, len(value)+1)
	m.buf = append(append(m.buf, value...), 0)
	m.pad()
}

// Uint8 appends a number of one byte.
func (m *Messages) Uint8(kind uint16, value uint8) { m.Bytes(kind, []byte{value}) }

// Uint16 appends a number in network byte order.
func (m *Messages) Uint16(kind uint16, value uint16) {
	m.Bytes(kind, binary.BigEndian.AppendUint16(nil, value))
}

// Uint32 appends a number in network byte order, as nfnetlink wants numbers.
func (m *Messages) Uint32(kind uint16, value uint32) {
	m.header(kind, 4)
	m.buf = binary.BigEndian.AppendUint32(m.buf, value)
}

// Nest appends an attribute that holds what inner appends.
func (m *Messages) Nest(kind uint16, inner func()) {
	start := m.Open(kind)
	inner()
	m.Close(start)
}

// Open starts a nested attribute that Close(start) ends.
func (m *Messages) Open(kind uint16) (start int) {
	start = len(m.buf)
	m.header(kind|unix.NLA_F_NESTED, 0)
	return start
}

// Close ends the nested attribute that Open started.
func (m *Messages) Close(start int) {
	binary.NativeEndian.PutUint16(m.buf[start:], uint16(len(m.buf)-start))
}

func (m *Messages) header(kind uint16, size int) {
	m.buf = binary.NativeEndian.AppendUint16(m.buf, uint16(size+4))
	m.buf = binary.NativeEndian.AppendUint16(m.buf, kind)
}

func (m *Messages) pad() {
	for len(m.buf)%4 != 0 {
		m.buf = append(m.buf, 0)
	}
}

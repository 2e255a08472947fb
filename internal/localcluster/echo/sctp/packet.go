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
	"hash/crc32"
)

type chunkType uint8

// RFC 9260 section 3.2.
const (
	chunkData             chunkType = 0
	chunkInit             chunkType = 1
	chunkInitAck          chunkType = 2
	chunkSack             chunkType = 3
	chunkHeartbeat        chunkType = 4
	chunkHeartbeatAck     chunkType = 5
	chunkAbort            chunkType = 6
	chunkShutdown         chunkType = 7
	chunkShutdownAck      chunkType = 8
	chunkError            chunkType = 9
	chunkCookieEcho       chunkType = 10
	chunkCookieAck        chunkType = 11
	chunkShutdownComplete chunkType = 14
)

const (
	headerLength = 12
	chunkHeader  = 4

	flagEnd       = 0x01 // DATA: last fragment
	flagBegin     = 0x02 // DATA: first fragment
	flagReflected = 0x01 // ABORT, SHUTDOWN COMPLETE: the tag is the receiver's own peer's
)

var (
	errShort    = errors.New("SCTP packet is too short")
	errChecksum = errors.New("SCTP packet has a wrong CRC32c")
	errChunk    = errors.New("SCTP chunk runs past its packet")

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

type packet struct {
	src, dst uint16
	tag      uint32
	chunks   []chunk
}

type chunk struct {
	kind  chunkType
	flags uint8
	value []byte
}

// parse checks the checksum and splits the chunks. The values share b.
func parse(b []byte) (packet, error) {
	if len(b) < headerLength+chunkHeader {
		return packet{}, errShort
	}
	if binary.LittleEndian.Uint32(b[8:]) != checksum(b) {
		return packet{}, errChecksum
	}
	p := packet{
		src: binary.BigEndian.Uint16(b),
		dst: binary.BigEndian.Uint16(b[2:]),
		tag: binary.BigEndian.Uint32(b[4:]),
	}
	for rest := b[headerLength:]; len(rest) >= chunkHeader; {
		length := int(binary.BigEndian.Uint16(rest[2:]))
		if length < chunkHeader || length > len(rest) {
			return packet{}, errChunk
		}
		p.chunks = append(p.chunks, chunk{kind: chunkType(rest[0]), flags: rest[1], value: rest[chunkHeader:length]})
		rest = rest[min(padded(length), len(rest)):]
	}
	return p, nil
}

func (p packet) marshal() []byte {
	b := make([]byte, headerLength, 256)
	binary.BigEndian.PutUint16(b, p.src)
	binary.BigEndian.PutUint16(b[2:], p.dst)
	binary.BigEndian.PutUint32(b[4:], p.tag)
	for _, c := range p.chunks {
		b = append(b, byte(c.kind), c.flags)
		b = binary.BigEndian.AppendUint16(b, uint16(chunkHeader+len(c.value)))
		b = append(b, c.value...)
		b = append(b, make([]byte, padded(len(c.value))-len(c.value))...)
	}
	binary.LittleEndian.PutUint32(b[8:], checksum(b))
	return b
}

// checksum is the CRC32c over the packet with its checksum field as zero
// (RFC 9260 appendix A).
func checksum(b []byte) uint32 {
	crc := crc32.Update(0, castagnoli, b[:8])
	crc = crc32.Update(crc, castagnoli, []byte{0, 0, 0, 0})
	return crc32.Update(crc, castagnoli, b[12:])
}

func padded(n int) int { return (n + 3) &^ 3 }

// initBody is the fixed part of INIT and INIT ACK (section 3.3.2).
type initBody struct {
	tag, window uint32
	out, in     uint16
	tsn         uint32
	cookie      []byte // INIT ACK only
}

const (
	initLength      = 16
	parameterCookie = 7
)

func parseInit(value []byte) (initBody, error) {
	if len(value) < initLength {
		return initBody{}, errShort
	}
	body := initBody{
		tag:    binary.BigEndian.Uint32(value),
		window: binary.BigEndian.Uint32(value[4:]),
		out:    binary.BigEndian.Uint16(value[8:]),
		in:     binary.BigEndian.Uint16(value[10:]),
		tsn:    binary.BigEndian.Uint32(value[12:]),
	}
	for rest := value[initLength:]; len(rest) >= chunkHeader; {
		length := int(binary.BigEndian.Uint16(rest[2:]))
		if length < chunkHeader || length > len(rest) {
			return initBody{}, errChunk
		}
		if binary.BigEndian.Uint16(rest) == parameterCookie {
			body.cookie = rest[chunkHeader:length]
		}
		rest = rest[min(padded(length), len(rest)):]
	}
	if body.tag == 0 || body.out == 0 || body.in == 0 {
		return initBody{}, errors.New("SCTP INIT has a zero tag or no streams")
	}
	return body, nil
}

func (i initBody) marshal() []byte {
	b := binary.BigEndian.AppendUint32(nil, i.tag)
	b = binary.BigEndian.AppendUint32(b, i.window)
	b = binary.BigEndian.AppendUint16(b, i.out)
	b = binary.BigEndian.AppendUint16(b, i.in)
	b = binary.BigEndian.AppendUint32(b, i.tsn)
	if i.cookie != nil {
		b = binary.BigEndian.AppendUint16(b, parameterCookie)
		b = binary.BigEndian.AppendUint16(b, uint16(chunkHeader+len(i.cookie)))
		b = append(b, i.cookie...)
	}
	return b
}

// dataBody is a DATA chunk's content (section 3.3.1).
type dataBody struct {
	tsn              uint32
	stream, sequence uint16
	payloadProtocol  uint32
	user             []byte
}

func parseData(value []byte) (dataBody, error) {
	if len(value) <= 12 { // a chunk without user data is a protocol error
		return dataBody{}, errShort
	}
	return dataBody{
		tsn:             binary.BigEndian.Uint32(value),
		stream:          binary.BigEndian.Uint16(value[4:]),
		sequence:        binary.BigEndian.Uint16(value[6:]),
		payloadProtocol: binary.BigEndian.Uint32(value[8:]),
		user:            value[12:],
	}, nil
}

func (d dataBody) marshal() []byte {
	b := binary.BigEndian.AppendUint32(nil, d.tsn)
	b = binary.BigEndian.AppendUint16(b, d.stream)
	b = binary.BigEndian.AppendUint16(b, d.sequence)
	b = binary.BigEndian.AppendUint32(b, d.payloadProtocol)
	return append(b, d.user...)
}

// marshalSack acknowledges everything up to tsn, without gaps (section 3.3.4).
func marshalSack(tsn, window uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, tsn)
	b = binary.BigEndian.AppendUint32(b, window)
	return append(b, 0, 0, 0, 0)
}

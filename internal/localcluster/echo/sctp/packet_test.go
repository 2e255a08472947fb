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
	"encoding/hex"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The vectors of RFC 3720 appendix B.4, which SCTP's CRC32c shares.
func TestCRC32cVectors(t *testing.T) {
	ascending := make([]byte, 32)
	for i := range ascending {
		ascending[i] = byte(i)
	}
	for name, tc := range map[string]struct {
		data []byte
		want uint32
	}{
		"32 zeros":     {make([]byte, 32), 0x8a9136aa},
		"32 ones":      {bytes.Repeat([]byte{0xff}, 32), 0x62a8ab43},
		"0 up to 31":   {ascending, 0x46dd794e},
		"check string": {[]byte("123456789"), 0xe3069283},
	} {
		if got := crc32.Checksum(tc.data, castagnoli); got != tc.want {
			t.Errorf("%s: %#08x, want %#08x", name, got, tc.want)
		}
	}
}

func TestChecksumIsLittleEndianAndLeavesItselfOut(t *testing.T) {
	p := packet{src: 1, dst: 2, tag: 3, chunks: []chunk{{kind: chunkCookieAck}}}
	b := p.marshal()
	zeroed := bytes.Clone(b)
	copy(zeroed[8:12], []byte{0, 0, 0, 0})
	crc := crc32.Checksum(zeroed, castagnoli)
	want := []byte{byte(crc), byte(crc >> 8), byte(crc >> 16), byte(crc >> 24)}
	if !bytes.Equal(b[8:12], want) {
		t.Errorf("checksum bytes %x, want %x", b[8:12], want)
	}
}

func TestPacketsComeBackAsTheyWere(t *testing.T) {
	p := packet{src: 9999, dst: 19, tag: 0xdeadbeef, chunks: []chunk{
		{kind: chunkCookieEcho, value: []byte("cookie")},
		{kind: chunkData, flags: flagBegin | flagEnd, value: dataBody{tsn: 7, stream: 1, sequence: 2, payloadProtocol: 3, user: []byte("odd length!")}.marshal()},
	}}
	got, err := parse(p.marshal())
	if diff := cmp.Diff(p, got, cmp.AllowUnexported(packet{}, chunk{})); diff != "" || err != nil {
		t.Errorf("error %v, difference (-want +got):\n%s", err, diff)
	}
}

func TestBrokenPacketsAreRefused(t *testing.T) {
	good := packet{src: 1, dst: 2, chunks: []chunk{{kind: chunkHeartbeat, value: []byte("12345678")}}}.marshal()
	withChecksum := func(b []byte) []byte {
		sum := checksum(b)
		copy(b[8:], []byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24)})
		return b
	}
	flipped := bytes.Clone(good)
	flipped[15] ^= 1
	long := bytes.Clone(good)
	long[15] = 200
	for name, tc := range map[string]struct {
		bytes []byte
		want  error
	}{
		"nothing":                   {nil, errShort},
		"a header alone":            {good[:12], errShort},
		"a flipped bit":             {flipped, errChecksum},
		"a chunk longer than it is": {withChecksum(long), errChunk},
	} {
		if _, err := parse(tc.bytes); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(packet{chunks: []chunk{{kind: chunkInit, value: initBody{tag: 1, in: 1, out: 1}.marshal()}}}.marshal()[headerLength:])
	f.Add(packet{chunks: []chunk{{kind: chunkData, value: dataBody{user: []byte("x")}.marshal()}}}.marshal()[headerLength:])
	odd, _ := hex.DecodeString("0000000503000004")
	f.Add(odd)
	f.Fuzz(func(t *testing.T, chunks []byte) {
		b := append(make([]byte, headerLength), chunks...)
		sum := checksum(append(b, make([]byte, 4)...)[:max(len(b), 12)])
		copy(b[8:], []byte{byte(sum), byte(sum >> 8), byte(sum >> 16), byte(sum >> 24)})
		p, err := parse(b)
		if err != nil {
			return
		}
		for _, c := range p.chunks {
			_, _ = parseInit(c.value)
			_, _ = parseData(c.value)
		}
		again, err := parse(p.marshal())
		if diff := cmp.Diff(p, again, cmp.AllowUnexported(packet{}, chunk{})); diff != "" || err != nil {
			t.Errorf("what was parsed does not come back: %v\n%s", err, diff)
		}
		// Whatever the chunks, an association survives them.
		a := newServer(cookie{localTag: p.tag, peerTag: 1, peerTSN: 1}, epoch)
		a.receive(p, epoch)
		a.tick(epoch.Add(heartbeatInterval))
	})
}

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
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// cookieLife is RFC 9260's Valid.Cookie.Life.
const cookieLife = 60 * time.Second

var (
	errCookie      = errors.New("SCTP cookie is not ours")
	errStaleCookie = errors.New("SCTP cookie is too old")
)

// cookie is all that a server knows of an association before it exists.
type cookie struct {
	local, peer       netip.AddrPort
	localTag, peerTag uint32
	localTSN, peerTSN uint32
	issued            time.Time
}

type cookieJar struct{ key [32]byte }

func newCookieJar() *cookieJar {
	jar := &cookieJar{}
	_, _ = rand.Read(jar.key[:]) // never fails: crypto/rand aborts the program instead
	return jar
}

const cookieLength = 2*(16+2) + 4*4 + 8

func (j *cookieJar) seal(c cookie) []byte {
	b := make([]byte, 0, cookieLength+sha256.Size)
	for _, end := range []netip.AddrPort{c.local, c.peer} {
		address := end.Addr().As16()
		b = append(b, address[:]...)
		b = binary.BigEndian.AppendUint16(b, end.Port())
	}
	for _, n := range []uint32{c.localTag, c.peerTag, c.localTSN, c.peerTSN} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(c.issued.UnixNano()))
	return j.mac(b).Sum(b)
}

// numbers are the tag and the first TSN for who has sent an INIT, the same for one that
// was sent again because the answer was late. Connection tracking goes by the last
// INIT ACK that it has seen (nf_conntrack_proto_sctp.c) and does not translate a
// COOKIE ECHO with the tag of the one before.
func (j *cookieJar) numbers(c cookie) (tag, tsn uint32) {
	sum := j.mac(j.seal(cookie{local: c.local, peer: c.peer, peerTag: c.peerTag, peerTSN: c.peerTSN, issued: time.Unix(0, 0)})).Sum(nil)
	return max(binary.BigEndian.Uint32(sum), 1), binary.BigEndian.Uint32(sum[4:])
}

func (j *cookieJar) open(b []byte, now time.Time) (cookie, error) {
	if len(b) != cookieLength+sha256.Size {
		return cookie{}, errCookie
	}
	if !hmac.Equal(j.mac(b[:cookieLength]).Sum(nil), b[cookieLength:]) {
		return cookie{}, errCookie
	}
	end := func(b []byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[:16])).Unmap(), binary.BigEndian.Uint16(b[16:]))
	}
	number := func(i int) uint32 { return binary.BigEndian.Uint32(b[36+4*i:]) }
	c := cookie{
		local: end(b), peer: end(b[18:]),
		localTag: number(0), peerTag: number(1), localTSN: number(2), peerTSN: number(3),
		issued: time.Unix(0, int64(binary.BigEndian.Uint64(b[52:]))),
	}
	if age := now.Sub(c.issued); age > cookieLife || age < -cookieLife {
		return cookie{}, errStaleCookie
	}
	return c, nil
}

func (j *cookieJar) mac(b []byte) interface{ Sum([]byte) []byte } {
	mac := hmac.New(sha256.New, j.key[:])
	mac.Write(b)
	return mac
}

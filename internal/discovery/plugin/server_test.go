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

package plugin

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind" // a directive
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
)

var prepare = sync.OnceValue(func() error {
	caddy.Quiet, dnsserver.Quiet = true, true
	RegisterWith(func(connection) (kubernetes.Interface, error) {
		var many []string
		for i := range 200 {
			many = append(many, fmt.Sprintf("10.1.0.%d", i+1))
		}
		client := fake.NewClientset(append(shop(), named("many", corev1.ServiceSpec{ClusterIPs: []string{"None"}}), sliceOf("many", many...))...)
		watches.count(client)
		return client, nil
	})
	registerFailing()
	return dnsserver.SetDirectives([]string{"bind", Name, failing})
})

// start runs a whole server and returns the addresses of its sockets.
func start(tb testing.TB) (udp, tcp string) {
	tb.Helper()
	if err := prepare(); err != nil {
		tb.Fatal(err)
	}
	instance, err := caddy.Start(corefileWith(""))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stop(tb, instance) })
	server := instance.Servers()[0]
	return server.LocalAddr().String(), server.Addr().String()
}

// corefileWith is the tests' Corefile with another directive.
func corefileWith(directive string) caddy.Input {
	text := ".:0 {\n bind 127.0.0.1\n switchyard cluster.local in-addr.arpa {\n startup_timeout 1m\n }\n" + directive + "\n}\n"
	return caddy.CaddyfileInput{Filepath: "Corefile", Contents: []byte(text), ServerTypeName: "dns"}
}

func stop(tb testing.TB, instance *caddy.Instance) {
	tb.Helper()
	instance.ShutdownCallbacks()
	if err := instance.Stop(); err != nil {
		tb.Error(err)
	}
}

func exchange(tb testing.TB, network, address string, m *dns.Msg) *dns.Msg {
	tb.Helper()
	c := &dns.Client{Net: network, Timeout: time.Minute, UDPSize: dns.MaxMsgSize}
	answer, _, err := c.Exchange(m, address)
	if err != nil {
		tb.Fatal(err)
	}
	return answer
}

// What does not fit is cut and marked, and there in full over TCP.
func TestAnAnswerThatDoesNotFitIsTruncated(t *testing.T) {
	udp, tcp := start(t)
	for _, size := range []uint16{0, 512, 1232, 4096} {
		m := new(dns.Msg).SetQuestion("many.shop.svc.cluster.local.", dns.TypeA)
		room := 512
		if size > 0 {
			m.SetEdns0(size, false)
			room = int(size)
		}
		answer := exchange(t, "udp", udp, m)
		answer.Compress = true // as it was sent
		all := len(answer.Answer) == 200
		if answer.Len() > room || answer.Truncated == all || answer.IsEdns0() == nil != (size == 0) {
			t.Errorf("with room for %d: %d bytes, %d records, truncated %v", room, answer.Len(), len(answer.Answer), answer.Truncated)
		}
	}
	if answer := exchange(t, "tcp", tcp, new(dns.Msg).SetQuestion("many.shop.svc.cluster.local.", dns.TypeA)); len(answer.Answer) != 200 || answer.Truncated {
		t.Errorf("over TCP: %d records, truncated %v", len(answer.Answer), answer.Truncated)
	}
}

// unanswered is in place of a response code.
const unanswered = -1

// packet is what a client sends, and how that is answered.
type packet struct {
	bytes []byte
	rcode int
}

// hostile are packets that no client means well with.
func hostile() map[string]packet {
	pack := func(change func(*dns.Msg)) []byte {
		m := new(dns.Msg).SetQuestion("web.shop.svc.cluster.local.", dns.TypeA)
		m.Id = 7
		change(m)
		packet, err := m.Pack()
		if err != nil {
			panic(err)
		}
		return packet
	}
	kind := func(kind uint16) []byte { return pack(func(m *dns.Msg) { m.Question[0].Qtype = kind }) }
	option := func(o dns.EDNS0) []byte {
		return pack(func(m *dns.Msg) { m.SetEdns0(512, false).IsEdns0().Option = []dns.EDNS0{o} })
	}
	ask := pack(func(*dns.Msg) {})
	long := append([]byte{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, make([]byte, 0, 400)...)
	for range 6 {
		long = append(append(long, 63), make([]byte, 63)...)
	}
	cut := option(&dns.EDNS0_LOCAL{Code: 65001, Data: make([]byte, 20)})
	circle := []byte{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0xc0, 16, 0xc0, 14, 0, 1, 0, 1}
	return map[string]packet{
		"nothing":                     {nil, unanswered},
		"half a header":               {ask[:6], unanswered},
		"a header":                    {ask[:12], dns.RcodeServerFailure},
		"half a question":             {ask[:20], dns.RcodeFormatError},
		"an answer":                   {pack(func(m *dns.Msg) { m.Response = true }), unanswered},
		"no question":                 {pack(func(m *dns.Msg) { m.Question = nil }), dns.RcodeFormatError},
		"two questions":               {pack(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), dns.RcodeFormatError},
		"an inverse query":            {pack(func(m *dns.Msg) { m.Opcode = dns.OpcodeIQuery }), dns.RcodeNotImplemented},
		"an update":                   {pack(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), dns.RcodeNotImplemented},
		"an opcode that there is not": {pack(func(m *dns.Msg) { m.Opcode = 15 }), dns.RcodeNotImplemented},
		"another class":               {pack(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), dns.RcodeRefused},
		"an unknown class":            {pack(func(m *dns.Msg) { m.Question[0].Qclass = 4096 }), dns.RcodeRefused},
		"an unknown type":             {kind(65279), dns.RcodeSuccess},
		"type 0":                      {kind(0), dns.RcodeSuccess},
		"any type":                    {kind(dns.TypeANY), dns.RcodeSuccess},
		"type OPT":                    {kind(dns.TypeOPT), dns.RcodeSuccess},
		"a transfer":                  {kind(dns.TypeAXFR), dns.RcodeRefused},
		"a transfer of changes":       {kind(dns.TypeIXFR), dns.RcodeRefused},
		"a later version of EDNS":     {pack(func(m *dns.Msg) { m.SetEdns0(512, false).IsEdns0().SetVersion(9) }), dns.RcodeBadVers},
		"no room for an answer":       {pack(func(m *dns.Msg) { m.SetEdns0(0, false) }), dns.RcodeSuccess},
		"an unknown option":           {option(&dns.EDNS0_LOCAL{Code: 65001, Data: make([]byte, 400)}), dns.RcodeSuccess},
		"an option cut short":         {cut[:len(cut)-5], dns.RcodeFormatError},
		"an option of a wrong length": {option(&dns.EDNS0_LOCAL{Code: dns.EDNS0SUBNET, Data: []byte{0}}), dns.RcodeFormatError},
		"a name over length":          {append(long, 0, 0, 1, 0, 1), dns.RcodeFormatError},
		"a label over length":         {append(slices.Clone(ask[:12]), 64, 'a', 0, 0, 1, 0, 1), dns.RcodeFormatError},
		"a pointer to itself":         {[]byte{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1}, dns.RcodeFormatError},
		"two pointers in a circle":    {circle, dns.RcodeFormatError},
		"a pointer out of the packet": {[]byte{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 1, 0, 1}, dns.RcodeFormatError},
		"bytes that are no letters":   {pack(func(m *dns.Msg) { m.Question[0].Name = `\000\255\.\\x.shop.svc.cluster.local.` }), dns.RcodeNameError},
		"the longest name":            {pack(func(m *dns.Msg) { m.Question[0].Name = longestName }), dns.RcodeNameError},
		"more records than there are": {[]byte{0, 7, 1, 0, 0, 1, 255, 255, 255, 255, 255, 255, 1, 'a', 0, 0, 1, 0, 1}, dns.RcodeFormatError},
	}
}

// longestName has 255 bytes and 120 labels.
var longestName = func() string {
	name := "shop.svc.cluster.local."
	for len(name) < 253 {
		name = "a." + name
	}
	return name
}()

// Whatever comes in is answered as it should be, or not at all, and the next one is,
// too.
func TestHostilePackets(t *testing.T) {
	udp, tcp := start(t)
	next := new(dns.Msg).SetQuestion("web.shop.svc.cluster.local.", dns.TypeA)
	next.Id = 8
	for name, packet := range hostile() {
		t.Run(name, func(t *testing.T) {
			for network, address := range map[string]string{"udp": udp, "tcp": tcp} {
				conn, err := net.Dial(network, address)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				client := &dns.Conn{Conn: conn, UDPSize: dns.MaxMsgSize}
				if _, err := client.Write(packet.bytes); err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(client.WriteMsg(next), conn.SetReadDeadline(time.Now().Add(time.Minute))); err != nil {
					t.Fatal(err)
				}
				rcode, answered := unanswered, false
				for !answered || rcode != packet.rcode {
					answer, err := client.ReadMsg()
					if err != nil {
						t.Fatalf("over %s: it is answered %d, the next one %v, %v", network, rcode, answered, err)
					}
					if answer.Id != next.Id {
						rcode = answer.Rcode
						if rcode != packet.rcode || len(answer.Answer) > 0 && name != "no room for an answer" && name != "an unknown option" {
							t.Fatalf("over %s: %v", network, answer)
						}
						continue
					}
					if answered = true; answer.Rcode != dns.RcodeSuccess || len(answer.Answer) != 1 {
						t.Fatalf("over %s, afterwards: %v", network, answer)
					}
				}
			}
		})
	}
}

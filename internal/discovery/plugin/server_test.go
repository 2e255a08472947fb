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
	"fmt"
	"net"
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
		return fake.NewClientset(append(shop(), named("many", corev1.ServiceSpec{ClusterIPs: []string{"None"}}), sliceOf("many", many...))...), nil
	})
	return dnsserver.SetDirectives([]string{"bind", Name})
})

// start runs a whole server and returns the addresses of its sockets.
func start(tb testing.TB) (udp, tcp string) {
	tb.Helper()
	if err := prepare(); err != nil {
		tb.Fatal(err)
	}
	corefile := ".:0 {\n bind 127.0.0.1\n switchyard cluster.local in-addr.arpa {\n startup_timeout 1m\n }\n}\n"
	instance, err := caddy.Start(caddy.CaddyfileInput{Filepath: "Corefile", Contents: []byte(corefile), ServerTypeName: "dns"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		instance.ShutdownCallbacks()
		if err := instance.Stop(); err != nil {
			tb.Error(err)
		}
	})
	server := instance.Servers()[0]
	return server.LocalAddr().String(), server.Addr().String()
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

// hostile are packets that no client means well with.
func hostile() map[string][]byte {
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
	ask := pack(func(*dns.Msg) {})
	long := append([]byte{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, make([]byte, 0, 400)...)
	for range 6 {
		long = append(append(long, 63), make([]byte, 63)...)
	}
	return map[string][]byte{
		"nothing":                     {},
		"half a header":               ask[:6],
		"a header":                    ask[:12],
		"half a question":             ask[:20],
		"an answer":                   pack(func(m *dns.Msg) { m.Response = true }),
		"no question":                 pack(func(m *dns.Msg) { m.Question = nil }),
		"two questions":               pack(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }),
		"an update":                   pack(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }),
		"another class":               pack(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }),
		"an unknown type":             pack(func(m *dns.Msg) { m.Question[0].Qtype = 65279 }),
		"type 0":                      pack(func(m *dns.Msg) { m.Question[0].Qtype = 0 }),
		"a later version of EDNS":     pack(func(m *dns.Msg) { m.SetEdns0(512, false).IsEdns0().SetVersion(9) }),
		"a name over length":          append(long, 0, 0, 1, 0, 1),
		"a pointer to itself":         {0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1},
		"bytes that are no letters":   pack(func(m *dns.Msg) { m.Question[0].Name = `\000\255\.\\x.shop.svc.cluster.local.` }),
		"the longest name":            pack(func(m *dns.Msg) { m.Question[0].Name = longest }),
		"more records than there are": {0, 7, 1, 0, 0, 1, 255, 255, 255, 255, 255, 255, 1, 'a', 0, 0, 1, 0, 1},
	}
}

// longest has 255 bytes and 120 labels.
var longest = func() string {
	name := "shop.svc.cluster.local."
	for len(name) < 253 {
		name = "a." + name
	}
	return name
}()

// Whatever comes in, the next one is answered.
func TestHostilePackets(t *testing.T) {
	udp, tcp := start(t)
	for name, packet := range hostile() {
		t.Run(name, func(t *testing.T) {
			for network, address := range map[string]string{"udp": udp, "tcp": tcp} {
				conn, err := net.Dial(network, address)
				if err != nil {
					t.Fatal(err)
				}
				if network == "tcp" {
					packet = append([]byte{byte(len(packet) >> 8), byte(len(packet))}, packet...)
				}
				if _, err := conn.Write(packet); err != nil {
					t.Fatal(err)
				}
				answer := exchange(t, network, address, new(dns.Msg).SetQuestion("web.shop.svc.cluster.local.", dns.TypeA))
				if answer.Rcode != dns.RcodeSuccess || len(answer.Answer) != 1 {
					t.Errorf("afterwards %s answers %v", network, answer)
				}
				_ = conn.Close()
			}
		})
	}
}

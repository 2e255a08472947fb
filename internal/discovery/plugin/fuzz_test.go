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
	"runtime"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	coreplugin "github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	coretest "github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/internal/follow"
)

// filled is a Handler that knows the shop, without a client.
func filled(tb testing.TB, stanza string) *Handler {
	tb.Helper()
	o, err := parse(caddy.NewTestController("dns", stanza))
	if err != nil {
		tb.Fatal(err)
	}
	h := New(o, outside{})
	h.sources = []follow.Source{{Full: func() bool { return true }}}
	for _, object := range shop() {
		switch object := object.(type) {
		case *corev1.Namespace:
			h.index.SetNamespace(object.Name)
		case *corev1.Service:
			h.index.SetService(object)
		case *discoveryv1.EndpointSlice:
			h.index.SetSlice(object)
		}
	}
	return h
}

// FuzzServeDNS sends any packet: what is answered can be packed, is about what
// was asked, and denies nothing that it also tells.
func FuzzServeDNS(f *testing.F) {
	for _, packet := range hostile() {
		f.Add(packet.bytes)
	}
	for _, name := range []string{
		"web.shop.svc.cluster.local.", "_http._tcp.Web.shop.svc.cluster.local.", "10-0-0-1.db.shop.svc.cluster.local.", "fd00--1.shop.pod.cluster.local.",
		"chain.shop.svc.cluster.local.", "ping.shop.svc.cluster.local.", "1.0.0.10.in-addr.arpa.", "cluster.local.", ".", "dns-version.cluster.local.",
		"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.",
	} {
		for _, kind := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypePTR, dns.TypeNS, dns.TypeANY} {
			packet, err := new(dns.Msg).SetQuestion(name, kind).Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packet)
		}
	}
	h := filled(f, "switchyard cluster.local in-addr.arpa ip6.arpa {\n pods insecure\n}")
	f.Fuzz(func(t *testing.T, packet []byte) {
		m := new(dns.Msg)
		if m.Unpack(packet) != nil || len(m.Question) == 0 {
			return // the server before us refuses it
		}
		recorder := dnstest.NewRecorder(&coretest.ResponseWriter{})
		rcode, err := h.ServeDNS(t.Context(), recorder, m)
		answer := recorder.Msg
		if answer == nil {
			// There is nobody behind us here.
			if coreplugin.ClientWrite(rcode) || err != nil && !strings.Contains(err.Error(), "no next plugin") {
				t.Fatalf("%v: no answer, %d, %v", m.Question[0], rcode, err)
			}
			return
		}
		if answer.Id != m.Id || !answer.Response || answer.Question[0] != m.Question[0] {
			t.Errorf("%v is answered with %v", m.Question[0], answer)
		}
		if answer.Rcode != dns.RcodeSuccess && len(answer.Answer) > 0 {
			t.Errorf("%v: %s with %v", m.Question[0], dns.RcodeToString[answer.Rcode], answer.Answer)
		}
		if _, err := answer.Pack(); err != nil {
			t.Errorf("%v: %v: %v", m.Question[0], err, answer)
		}
	})
}

// Names that do not exist leave nothing behind, however many are asked for.
func TestUnknownNamesTakeNoMemory(t *testing.T) {
	h := filled(t, stanza)
	ask := func(from, to int) {
		for i := from; i < to; i++ {
			m := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.shop.svc.cluster.local.", i), dns.TypeA)
			recorder := dnstest.NewRecorder(&coretest.ResponseWriter{})
			if _, err := h.ServeDNS(t.Context(), recorder, m); err != nil || recorder.Msg.Rcode != dns.RcodeNameError {
				t.Fatalf("%v: %v, %v", m.Question[0], recorder.Msg, err)
			}
		}
	}
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	ask(0, 10_000)
	before := heap()
	ask(10_000, 110_000)
	if grown := heap() - before; grown > 256<<10 {
		t.Errorf("100,000 names that do not exist took %d bytes", grown)
	}
}

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

package main

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"switchyard.dev/switchyard/test/prereq"
)

// answering serves DNS on a port of its own.
func answering(t *testing.T, handler dns.HandlerFunc) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	server := &dns.Server{PacketConn: conn, Handler: handler, NotifyStartedFunc: func() { close(began) }}
	ended := make(chan error, 1)
	go func() { ended <- server.ActivateAndServe() }()
	<-began
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}

func TestAnAskerTellsWrongAnswersFromRightOnes(t *testing.T) {
	address := answering(t, func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(r)
		record := []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(10, 0, 0, 1)}}
		switch {
		case strings.HasPrefix(r.Question[0].Name, "web-000001."): // as it should be
			m.Answer = record
		case strings.HasPrefix(r.Question[0].Name, "web-000002."):
			m.Answer, m.Rcode = record, dns.RcodeServerFailure
		}
		late := m.Copy()
		late.Id-- // of another question
		if err := w.WriteMsg(late); err != nil {
			t.Error(err)
		}
		if err := w.WriteMsg(m); err != nil {
			t.Error(err)
		}
	})
	a, err := newAsker(address)
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[int]bool{1: true, 2: false, 3: false} {
		a.within(time.Minute)
		q := aboutService(service, dns.TypeA)
		answer, err := a.ask(q)
		if err != nil {
			t.Fatal(err)
		}
		if got := q.right(answer); got != want {
			t.Errorf("web-%d: right is %v", service, got)
		}
	}
	q := []question{aboutService(1, dns.TypeA), aboutService(2, dns.TypeA)}
	seen, err := a.askAlone(q, 0, time.Now(), 0, time.Now().Add(time.Second))
	if n := len(seen.took); err != nil || n == 0 || seen.wrong != n/2 || seen.lost != 0 {
		t.Errorf("%d of %d answers were wrong, %d lost, %v", seen.wrong, n, seen.lost, err)
	}
}

// A server that answers late is late for those who wait, too.
func TestAQuestionWaitsSinceItsTime(t *testing.T) {
	late := 50 * time.Millisecond
	address := answering(t, func(w dns.ResponseWriter, r *dns.Msg) {
		time.Sleep(late)
		m := new(dns.Msg)
		if err := w.WriteMsg(m.SetReply(r)); err != nil {
			t.Error(err)
		}
	})
	a, err := newAsker(address)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	seen, err := a.askAlone([]question{aboutService(1, dns.TypeA)}, 0, now, late/10, now.Add(20*late)) // of which the first two count
	if err != nil || len(seen.took) < 2 {
		t.Fatalf("%d answers, %v", len(seen.took), err)
	}
	// The second one's time was when the first had waited for a tenth.
	if first, second := seen.took[0], seen.took[1]; first < late || second < late+late/2 {
		t.Errorf("waited %v and %v", first, second)
	}
}

func TestQuestionsAreAboutWhatThereIs(t *testing.T) {
	const services = 20
	names := map[string]int{}
	for _, q := range append(questionsOf(services), firstQuestions(services)...) {
		var m dns.Msg
		if err := m.Unpack(q.packet); err != nil {
			t.Fatal(err)
		}
		at := strings.Index(m.Question[0].Name, "web-")
		if at < 0 {
			if m.Question[0].Qtype != dns.TypePTR {
				t.Errorf("%v", m.Question[0])
			}
			continue
		}
		names[m.Question[0].Name[at:at+len("web-000000")]]++
	}
	if len(names) != services {
		t.Errorf("asked about %v", names)
	}
	for name := range names {
		if name >= serviceName(services) {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestDNSTargetsAreJudged(t *testing.T) {
	result := func(name string, services int, perSecond, memory int) dnsResult {
		return dnsResult{Name: name, Size: size{services, dnsEndpoints}, Full: dnsLoad{Queries: perSecond, Seconds: 1}, StartedBytes: int64(memory) << 20}
	}
	line := func(r report, name string) []string {
		for _, line := range r.dnsGrid().lines {
			if line[0] == name {
				return line[2:]
			}
		}
		t.Fatalf("the table has no line %q", name)
		return nil
	}
	for name, tc := range map[string]struct {
		services, perSecond, memory int
		queries, started            string
	}{
		"both met":    {dnsSize, 1000, 50, "met", "met"},
		"both missed": {dnsSize, 999, 51, "NOT met", "NOT met"},
		"of fewer":    {100, 999, 51, "not judged", "not judged"},
	} {
		r := report{DNS: []dnsResult{result(ourDNSName, tc.services, tc.perSecond, tc.memory), result(theirDNSName, tc.services, 1000, 100)}}
		got := []string{line(r, "queries")[4], line(r, "memory, a second after the start")[4]}
		if diff := cmp.Diff([]string{tc.queries, tc.started}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAShortRunTakesEveryFigureOfTheDNSServers(t *testing.T) {
	prereq.Root(t)
	page := filepath.Join(t.TempDir(), "page.md")
	got := shortRun(t, "-only=dns", "-dns=20", "-switches=3", "-dns-turns=1", "-queries=200ms", "-markdown="+page)
	if len(got.DNS) != 4 {
		t.Fatalf("%d results, want one of each server with and without cache", len(got.DNS))
	}
	for _, r := range got.DNS {
		for _, load := range []dnsLoad{r.Full, r.Paced} {
			if load.Queries == 0 || load.Wrong > 0 || load.Lost > 0 || load.CPU <= 0 || load.Took.P99 <= 0 {
				t.Errorf("%s, cache %v: %+v", r.Name, r.Cached, load)
			}
		}
		if changes := r.Change.Sent.Samples; r.Starts != 1 || r.Start <= 0 || r.SteadyBytes <= 0 || (changes == 3) == r.Cached {
			t.Errorf("%+v", r)
		}
	}
	text, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(text), "| queries, with cache | /s |") {
		t.Errorf("%v; the page:\n%s", err, text)
	}
}

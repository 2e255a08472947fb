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
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coredns/caddy"
	coreplugin "github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	coretest "github.com/coredns/coredns/plugin/test"
	"github.com/coredns/coredns/request"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// outside knows example.com, and fails for what is called broken
// or failing.
type outside struct{}

func (outside) Lookup(_ context.Context, state request.Request, name string, kind uint16) (*dns.Msg, error) {
	if name == "broken.example.com." {
		return nil, errors.New("nobody there")
	}
	m := new(dns.Msg)
	m.SetReply(state.Req)
	if name == "failing.example.com." {
		m.Rcode = dns.RcodeServerFailure
		return m, nil
	}
	if kind == dns.TypeA {
		m.Answer = []dns.RR{rr(name + " 60 IN A 192.0.2.1")}
	}
	return m, nil
}

func rr(text string) dns.RR {
	record, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return record
}

func objectMeta(name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: labels}
}

func named(name string, spec corev1.ServiceSpec) *corev1.Service {
	if spec.ClusterIP == "" && spec.Type == "" {
		spec.ClusterIP = spec.ClusterIPs[0]
	}
	return &corev1.Service{ObjectMeta: objectMeta(name, nil), Spec: spec}
}

func sliceOf(service string, addresses ...string) *discoveryv1.EndpointSlice {
	eps := &discoveryv1.EndpointSlice{
		ObjectMeta: objectMeta(service+"-1", map[string]string{discoveryv1.LabelServiceName: service}), AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{{Name: new("sql"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(5432))}},
	}
	for _, a := range addresses {
		eps.Endpoints = append(eps.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}})
	}
	return eps
}

func externalName(name, target string) *corev1.Service {
	return named(name, corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: target})
}

func shop() []runtime.Object {
	return []runtime.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		named("web", corev1.ServiceSpec{ClusterIPs: []string{"10.96.0.7", "fd00::7"}, Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}}}),
		named("db", corev1.ServiceSpec{ClusterIPs: []string{"None"}}), sliceOf("db", "10.0.0.1", "10.0.0.2"),
		externalName("out", "Example.com"), externalName("in", "web.shop.svc.cluster.local"), externalName("chain", "in.shop.svc.cluster.local"),
		externalName("lost", "nobody.shop.svc.cluster.local"), externalName("self", "self.shop.svc.cluster.local"),
		externalName("ping", "pong.shop.svc.cluster.local"), externalName("pong", "ping.shop.svc.cluster.local"), externalName("broken", "broken.example.com"),
		externalName("failing", "failing.example.com"), externalName("unsendable", strings.Repeat("x", 64)+".example.com"),
	}
}

// serve makes a Handler of a stanza, over a cluster.
func serve(t *testing.T, stanza string, client *fake.Clientset) *Handler {
	t.Helper()
	o, err := parse(caddy.NewTestController("dns", stanza))
	if err != nil {
		t.Fatal(err)
	}
	h := New(o, outside{})
	h.Next = coreplugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		m := new(dns.Msg)
		m.SetReply(r)
		m.Answer = []dns.RR{rr(r.Question[0].Name + " 1 IN TXT next")}
		return dns.RcodeSuccess, w.WriteMsg(m)
	})
	if client != nil {
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		h.sources = h.resources(client)
		h.follow(ctx)
		if !h.await(ctx, time.Minute) {
			t.Fatal("not everything has been listed")
		}
	}
	return h
}

// ask returns what was answered: the status, then the records of all sections
// but the SOA of a negative answer.
func ask(t *testing.T, h *Handler, question string) []string {
	t.Helper()
	name, kind, _ := strings.Cut(question, " ")
	m := new(dns.Msg)
	m.SetQuestion(name, dns.StringToType[kind])
	recorder := dnstest.NewRecorder(&coretest.ResponseWriter{})
	rcode, err := h.ServeDNS(t.Context(), recorder, m)
	if err != nil {
		t.Fatal(err)
	}
	if recorder.Msg == nil {
		return []string{dns.RcodeToString[rcode]}
	}
	answer := []string{dns.RcodeToString[recorder.Msg.Rcode]}
	for _, section := range [][]dns.RR{recorder.Msg.Answer, recorder.Msg.Extra} {
		var lines []string
		for _, record := range section {
			lines = append(lines, strings.ReplaceAll(record.String(), "\t", " "))
		}
		slices.Sort(lines)
		answer = append(answer, lines...)
	}
	if len(recorder.Msg.Answer) == 0 {
		if soa, is := recorder.Msg.Ns[0].(*dns.SOA); !is || soa.Minttl != h.TTL || soa.Hdr.Ttl != min(h.TTL, soaTTL) {
			t.Errorf("%s: a negative answer with %v", question, recorder.Msg.Ns)
		}
	}
	return answer
}

const stanza = "switchyard cluster.local in-addr.arpa ip6.arpa {\n fallthrough in-addr.arpa ip6.arpa\n ttl 7\n}"

func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, stanza, fake.NewClientset(shop()...))
		h.local = []netip.Addr{netip.MustParseAddr("10.0.0.1")}
		for question, want := range map[string][]string{
			"web.shop.svc.cluster.local. A":      {"NOERROR", "web.shop.svc.cluster.local. 7 IN A 10.96.0.7"},
			"Web.Shop.svc.CLUSTER.local. AAAA":   {"NOERROR", "Web.Shop.svc.CLUSTER.local. 7 IN AAAA fd00::7"},
			"web.shop.svc.cluster.local. HTTPS":  {"NOERROR"},
			"web.shop.svc.cluster.local. ANY":    {"NOERROR"},
			"web.shop.svc.cluster.local. SOA":    {"NOERROR"},
			"nobody.shop.svc.cluster.local. A":   {"NXDOMAIN"},
			"nobody.shop.svc.cluster.local. SOA": {"NXDOMAIN"},
			"cluster.local. TXT":                 {"NOERROR"},
			"dns-version.cluster.local. TXT":     {"NOERROR", `dns-version.cluster.local. 28800 IN TXT "1.1.0"`},
			"dns-version.cluster.local. A":       {"NOERROR"},
			"cluster.local. AXFR":                {"REFUSED"},
			"_http._tcp.web.shop.svc.Cluster.Local. SRV": {
				"NOERROR", "_http._tcp.web.shop.svc.Cluster.Local. 7 IN SRV 0 50 80 web.shop.svc.Cluster.Local.",
				"web.shop.svc.Cluster.Local. 7 IN A 10.96.0.7", "web.shop.svc.Cluster.Local. 7 IN AAAA fd00::7"},
			"1.0.0.10.in-addr.arpa. PTR":        {"NOERROR", "1.0.0.10.in-addr.arpa. 7 IN PTR 10-0-0-1.db.shop.svc.cluster.local."},
			"7.0.96.10.in-addr.arpa. PTR":       {"NOERROR", "7.0.96.10.in-addr.arpa. 7 IN PTR web.shop.svc.cluster.local."},
			"7.0.96.10.in-addr.arpa. A":         {"NOERROR"},
			"9.9.9.9.in-addr.arpa. PTR":         {"NOERROR", `9.9.9.9.in-addr.arpa. 1 IN TXT "next"`},
			"example.com. A":                    {"NOERROR", `example.com. 1 IN TXT "next"`},
			"out.shop.svc.cluster.local. CNAME": {"NOERROR", "out.shop.svc.cluster.local. 7 IN CNAME Example.com."},
			"out.shop.svc.cluster.local. A":     {"NOERROR", "Example.com. 60 IN A 192.0.2.1", "out.shop.svc.cluster.local. 7 IN CNAME Example.com."},
			"out.shop.svc.cluster.local. AAAA":  {"NOERROR", "out.shop.svc.cluster.local. 7 IN CNAME Example.com."},
			"in.shop.svc.cluster.local. A":      {"NOERROR", "in.shop.svc.cluster.local. 7 IN CNAME web.shop.svc.cluster.local.", "web.shop.svc.cluster.local. 7 IN A 10.96.0.7"},
			"chain.shop.svc.cluster.local. A": {"NOERROR", "chain.shop.svc.cluster.local. 7 IN CNAME in.shop.svc.cluster.local.",
				"in.shop.svc.cluster.local. 7 IN CNAME web.shop.svc.cluster.local.", "web.shop.svc.cluster.local. 7 IN A 10.96.0.7"},
			"lost.shop.svc.cluster.local. A": {"NOERROR"},
			"self.shop.svc.cluster.local. A": {"NOERROR"},
			"ping.shop.svc.cluster.local. A": {"NOERROR"},
			// Nobody told what it leads to: that there is nothing would be taken for final.
			"broken.shop.svc.cluster.local. A":     {"SERVFAIL"},
			"failing.shop.svc.cluster.local. A":    {"SERVFAIL"},
			"failing.shop.svc.cluster.local. TXT":  {"NOERROR"},
			"unsendable.shop.svc.cluster.local. A": {"NXDOMAIN"},
			"in-addr.arpa. NS": {"NOERROR", "in-addr.arpa. 7 IN NS 10-0-0-1.db.shop.svc.cluster.local.", "in-addr.arpa. 7 IN NS 10-0-0-2.db.shop.svc.cluster.local.",
				"10-0-0-1.db.shop.svc.cluster.local. 7 IN A 10.0.0.1", "10-0-0-2.db.shop.svc.cluster.local. 7 IN A 10.0.0.2"},
			// This server is an endpoint of db.
			"cluster.local. NS": {"NOERROR", "cluster.local. 7 IN NS 10-0-0-1.db.shop.svc.cluster.local.", "cluster.local. 7 IN NS 10-0-0-2.db.shop.svc.cluster.local.",
				"10-0-0-1.db.shop.svc.cluster.local. 7 IN A 10.0.0.1", "10-0-0-2.db.shop.svc.cluster.local. 7 IN A 10.0.0.2"},
			"ns.dns.cluster.local. A": {"NOERROR", "ns.dns.cluster.local. 7 IN A 10.0.0.1", "ns.dns.cluster.local. 7 IN A 10.0.0.2"},
		} {
			if diff := cmp.Diff(want, ask(t, h, question)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", question, diff)
			}
		}
	})
}

// D10: nothing is denied, nor half of it told, before everything is known.
func TestNothingIsDeniedBeforeAllIsKnown(t *testing.T) {
	h := serve(t, stanza, nil)
	h.index.SetNamespace("shop")
	h.index.SetSlice(sliceOf("db", "10.0.0.1"))
	h.index.SetService(named("db", corev1.ServiceSpec{ClusterIPs: []string{"None"}}))
	for question, want := range map[string][]string{
		"nobody.shop.svc.cluster.local. A": {"SERVFAIL"},
		"db.shop.svc.cluster.local. A":     {"SERVFAIL"},
		"dns-version.cluster.local. TXT":   {"NOERROR", `dns-version.cluster.local. 28800 IN TXT "1.1.0"`},
		// It may be ours, and what the next one says would be kept in its cache.
		"9.9.9.9.in-addr.arpa. PTR": {"SERVFAIL"},
		"example.com. A":            {"NOERROR", `example.com. 1 IN TXT "next"`},
	} {
		if diff := cmp.Diff(want, ask(t, h, question)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", question, diff)
		}
	}
	if h.Ready() {
		t.Error("ready")
	}
}

// refusing is a client to whom nothing can be written.
type refusing struct{ coretest.ResponseWriter }

func (*refusing) WriteMsg(*dns.Msg) error { return dns.ErrRdata }

// What can not be sent is not kept quiet about: the server says SERVFAIL then.
func TestAnAnswerThatCanNotBeSentFails(t *testing.T) {
	h := serve(t, stanza, nil)
	m := new(dns.Msg).SetQuestion("dns-version.cluster.local.", dns.TypeTXT)
	if rcode, err := h.ServeDNS(t.Context(), &refusing{}, m); rcode != dns.RcodeServerFailure || !errors.Is(err, dns.ErrRdata) {
		t.Errorf("%s, %v", dns.RcodeToString[rcode], err)
	}
}

// An API server that is away takes no answer with it, and what changed
// meanwhile is seen when it is back.
func TestAnswersOutliveTheAPIServer(t *testing.T) {
	client := fake.NewClientset(shop()...)
	var away atomic.Bool
	watches, refused := make(chan watch.Interface, 10), make(chan struct{}, 10)
	refuse := func() error {
		select {
		case refused <- struct{}{}:
		default:
		}
		return errors.New("connection refused")
	}
	client.PrependReactor("list", "endpointslices", func(clienttesting.Action) (bool, runtime.Object, error) {
		if !away.Load() {
			return false, nil, nil
		}
		return true, nil, refuse()
	})
	client.PrependWatchReactor("endpointslices", func(a clienttesting.Action) (bool, watch.Interface, error) {
		if away.Load() {
			return true, nil, refuse()
		}
		w, err := client.Tracker().Watch(a.GetResource(), a.GetNamespace())
		watches <- w
		return true, w, err
	})
	h := serve(t, stanza, client)
	answers := func(addresses ...string) bool {
		want := []string{"NOERROR"}
		for _, a := range addresses {
			want = append(want, "db.shop.svc.cluster.local. 7 IN A "+a)
		}
		return slices.Equal(want, ask(t, h, "db.shop.svc.cluster.local. A"))
	}
	if !answers("10.0.0.1", "10.0.0.2") {
		t.Fatal("at first")
	}
	w := <-watches
	away.Store(true)
	w.Stop()
	if _, err := client.DiscoveryV1().EndpointSlices("shop").Update(t.Context(), sliceOf("db", "10.0.0.3"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	<-refused
	if !answers("10.0.0.1", "10.0.0.2") || !h.Ready() {
		t.Error("answers have changed while the API server is away")
	}
	away.Store(false)
	for !answers("10.0.0.3") {
		select {
		case <-t.Context().Done():
			t.Fatal("what changed meanwhile was not seen")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestTheLatencyOfChangesIsMeasured(t *testing.T) {
	l := newLatency(time.Now())
	l.durations.Reset()
	h := serve(t, stanza, nil)
	h.latency = l
	h.index.SetService(named("db", corev1.ServiceSpec{ClusterIPs: []string{"None"}}))
	h.index.SetService(named("web", corev1.ServiceSpec{ClusterIPs: []string{"10.96.0.7"}}))
	for i, tc := range []struct {
		service string
		at      time.Time
	}{{"db", time.Now()}, {"web", time.Now()}, {"web", time.Now()}, {"web", time.Now().Add(-time.Hour)}, {"nobody", time.Now()}} {
		eps := sliceOf(tc.service, fmt.Sprintf("10.0.0.%d", i))
		eps.Annotations = map[string]string{corev1.EndpointsLastChangeTriggerTime: tc.at.Format(time.RFC3339Nano)}
		h.setSlice(eps)
		h.setSlice(eps) // a list after a gap: nothing is programmed
	}
	for kind, want := range map[string]uint64{"cluster_ip": 2, "headless_with_selector": 1} {
		var metric dto.Metric
		if err := l.durations.WithLabelValues(kind).(prometheus.Histogram).Write(&metric); err != nil {
			t.Fatal(err)
		}
		if got := metric.Histogram.GetSampleCount(); got != want {
			t.Errorf("%s was observed %d times, want %d", kind, got, want)
		}
	}
	if n := testutil.CollectAndCount(l.durations, "coredns_kubernetes_dns_programming_duration_seconds"); n != 2 {
		t.Errorf("there are %d kinds of Services", n)
	}
}

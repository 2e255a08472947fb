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

package resolve

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// serve answers on UDP and TCP of an address with a port of the kernel's
// choice, or with that one, and returns the port.
func serve(t *testing.T, host, port string, handle dns.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		t.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []*dns.Server{{Listener: listener, Handler: handle}, {PacketConn: packets, Handler: handle}} {
		go func() { _ = server.ActivateAndServe() }()
	}
	t.Cleanup(func() { _, _ = listener.Close(), packets.Close() })
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

// zone knows web and db of namespace shop.
func zone(w dns.ResponseWriter, query *dns.Msg) {
	records := map[string]string{
		"web.shop.svc.cluster.local. A":              "10.96.0.7",
		"_http._tcp.web.shop.svc.cluster.local. SRV": "0 100 80 web.shop.svc.cluster.local.",
		"7.0.96.10.in-addr.arpa. PTR":                "web.shop.svc.cluster.local.",
		"example.com. A":                             "192.0.2.1",
	}
	question := query.Question[0]
	reply := new(dns.Msg).SetReply(query)
	reply.Rcode = dns.RcodeNameError
	soa, _ := dns.NewRR("cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 4")
	for key, data := range records {
		name, kind, _ := strings.Cut(key, " ")
		if name != question.Name {
			continue
		}
		reply.Rcode = dns.RcodeSuccess
		if dns.StringToType[kind] == question.Qtype {
			rr, _ := dns.NewRR(fmt.Sprintf("%s 5 IN %s %s", name, kind, data))
			reply.Answer = append(reply.Answer, rr)
		}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = []dns.RR{soa}
	}
	_ = w.WriteMsg(reply)
}

func resolvConf(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	text := "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 192.0.2.1\noptions ndots:5\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNamesAreAskedForAsAPodDoes(t *testing.T) {
	server := "127.0.0.1:" + serve(t, "127.0.0.1", "0", zone)
	config := resolvConf(t)
	for name, tc := range map[string]struct {
		request Request
		want    []string
	}{
		"a short name":             {Request{Name: "web"}, []string{"web.shop.svc.cluster.local. NOERROR 10.96.0.7"}},
		"a name of a namespace":    {Request{Name: "web.shop"}, []string{"web.shop.shop.svc.cluster.local. NXDOMAIN", "web.shop.svc.cluster.local. NOERROR 10.96.0.7"}},
		"a name that is complete":  {Request{Name: "web.shop.svc.cluster.local."}, []string{"web.shop.svc.cluster.local. NOERROR 10.96.0.7"}},
		"a port":                   {Request{Name: "_http._tcp.web", Type: "srv"}, []string{"_http._tcp.web.shop.svc.cluster.local. NOERROR 0 100 80 web.shop.svc.cluster.local."}},
		"an address":               {Request{Name: "10.96.0.7"}, []string{"7.0.96.10.in-addr.arpa. NOERROR web.shop.svc.cluster.local."}},
		"over TCP":                 {Request{Name: "web", TCP: true}, []string{"web.shop.svc.cluster.local. NOERROR 10.96.0.7"}},
		"of elsewhere, at the end": {Request{Name: "example.com"}, []string{"example.com.shop.svc.cluster.local. NXDOMAIN", "example.com.svc.cluster.local. NXDOMAIN", "example.com.cluster.local. NXDOMAIN", "example.com. NOERROR 192.0.2.1"}},
		"without that type":        {Request{Name: "web.shop.svc.cluster.local.", Type: "AAAA"}, []string{"web.shop.svc.cluster.local. NODATA"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.request.Config, tc.request.Server = config, server
			answers, err := Run(t.Context(), tc.request)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range answers {
				line := a.Name + " " + a.Code
				for _, r := range a.Records {
					line += " " + r.Data
				}
				got = append(got, line)
				if !a.Found() && a.DeniedFor != 4 {
					t.Errorf("%s is denied for %d s, want 4", a.Name, a.DeniedFor)
				}
				if want := map[bool]string{true: "tcp", false: "udp"}[tc.request.TCP]; a.Network != want {
					t.Errorf("asked over %s, want %s", a.Network, want)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAServerThatCanNotSayIsNotTheLast(t *testing.T) {
	port := serve(t, "127.0.0.2", "0", func(w dns.ResponseWriter, query *dns.Msg) {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(query, dns.RcodeServerFailure))
	})
	serve(t, "127.0.0.3", port, zone)
	config := &dns.ClientConfig{Servers: []string{"127.0.0.4", "127.0.0.2", "127.0.0.3"}, Port: port}
	a, err := Request{}.ask(t.Context(), config, "web.shop.svc.cluster.local.", dns.TypeA)
	if err != nil || !a.Found() || a.Server != "127.0.0.3:"+port {
		t.Errorf("%v, %v", a, err)
	}
	config.Servers = config.Servers[:2]
	if _, err := (Request{}).ask(t.Context(), config, "web.shop.svc.cluster.local.", dns.TypeA); err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
		t.Errorf("error %v", err)
	}
}

func TestWhatDoesNotFitIsAskedForOverTCP(t *testing.T) {
	port := serve(t, "127.0.0.1", "0", func(w dns.ResponseWriter, query *dns.Msg) {
		if _, datagram := w.RemoteAddr().(*net.UDPAddr); datagram {
			reply := new(dns.Msg).SetReply(query)
			reply.Truncated = true
			_ = w.WriteMsg(reply)
			return
		}
		zone(w, query)
	})
	answers, err := Run(t.Context(), Request{Name: "web", Config: resolvConf(t), Server: "127.0.0.1:" + port})
	if err != nil || len(answers) != 1 || !answers[0].Found() || answers[0].Network != "tcp" {
		t.Errorf("%v, %v", answers, err)
	}
}

func TestWhatCanNotBeAskedForIsNamed(t *testing.T) {
	config := resolvConf(t)
	for want, r := range map[string]Request{
		`type "X"`:             {Name: "web", Type: "X", Config: config},
		`name ""`:              {Config: config},
		`server "dns.example"`: {Name: "web", Server: "dns.example", Config: config},
		"reading who to ask":   {Name: "web", Config: config + "-not"},
	} {
		if _, err := Run(t.Context(), r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestWhoseResolvConfItIs(t *testing.T) {
	machines := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(machines, []byte("search example.com\nnameserver 192.0.2.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{resolvConf(t): true, machines: false, filepath.Join(t.TempDir(), "none"): false} {
		if got := (Request{Config: path}).ForPods(); got != want {
			t.Errorf("%s is for pods: %v, want %v", path, got, want)
		}
	}
}

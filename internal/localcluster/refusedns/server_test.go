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

package refusedns_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"switchyard.dev/switchyard/internal/localcluster/refusedns"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

func TestEveryQueryIsRefusedAtOnce(t *testing.T) {
	ns := prereq.Namespace(t)
	addrs := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:53"), netip.MustParseAddrPort("[::1]:53")}
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- refusedns.Serve(ctx, ns, addrs, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	for _, addr := range addrs {
		for _, network := range []string{"udp", "tcp"} {
			for _, name := range []string{"web.default.svc.cluster.local.", "example.com."} {
				query := new(dns.Msg).SetQuestion(name, dns.TypeAAAA)
				answer, err := ask(ns, network, addr.String(), query)
				if err != nil {
					t.Fatal(err)
				}
				if answer.Rcode != dns.RcodeRefused || answer.Id != query.Id || answer.Question[0].Name != name {
					t.Errorf("%s by %s at %s: %v", name, network, addr, answer)
				}
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func ask(ns *netns.Namespace, network, addr string, query *dns.Msg) (*dns.Msg, error) {
	var conn net.Conn
	err := ns.Do(func() (err error) {
		conn, err = net.DialTimeout(network, addr, 5*time.Second)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	client := dns.Client{Net: network, Timeout: 5 * time.Second}
	answer, _, err := client.ExchangeWithConn(query, &dns.Conn{Conn: conn})
	return answer, err
}

func TestAnAddressThatIsNotThereIsNamed(t *testing.T) {
	err := refusedns.Serve(t.Context(), prereq.Namespace(t), []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}, nil)
	if err == nil || !strings.Contains(err.Error(), "answering DNS on 192.0.2.1:53") {
		t.Errorf("error %v", err)
	}
}

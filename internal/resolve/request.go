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
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Request says what to ask whom.
type Request struct {
	// Name is completed by the search list unless it ends with a dot; a literal
	// address stands for its reverse name.
	Name string
	// Type is a record type, like SRV; empty is A, or PTR for an address.
	Type string
	// Config is where servers and search list are; empty is /etc/resolv.conf.
	Config string
	// Server is asked in place of those of Config: a literal address, with or
	// without a port.
	Server string
	// TCP asks over TCP; otherwise only what does not fit a datagram is.
	TCP bool
	// Timeout bounds one question to one server; 0 is 2 s.
	Timeout time.Duration
}

// question is what a Request asks for, checked.
type question struct {
	kind uint16
	// reverse is the name of an address, if the Request has one.
	reverse string
}

func (r Request) question() (question, error) {
	q := question{kind: dns.TypeA}
	if _, err := netip.ParseAddr(r.Name); err == nil {
		reverse, err := dns.ReverseAddr(r.Name)
		if err != nil {
			return q, fmt.Errorf("address %q: %w", r.Name, err)
		}
		q = question{kind: dns.TypePTR, reverse: reverse}
	} else if _, ok := dns.IsDomainName(r.Name); !ok || r.Name == "" {
		return q, fmt.Errorf("name %q: want a DNS name or an address", r.Name)
	}
	if r.Type != "" {
		kind, ok := dns.StringToType[strings.ToUpper(r.Type)]
		if !ok {
			return q, fmt.Errorf("type %q: want a type of records, like A, AAAA, SRV, PTR, CNAME or TXT", r.Type)
		}
		q.kind = kind
	}
	return q, nil
}

func (r Request) config() (*dns.ClientConfig, error) {
	path := r.Config
	if path == "" {
		path = "/etc/resolv.conf"
	}
	config, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading who to ask: %w", err)
	}
	if r.Server != "" {
		host, port, err := net.SplitHostPort(r.Server)
		if err != nil {
			host, port = r.Server, "53"
		}
		if _, err := netip.ParseAddr(host); err != nil {
			return nil, fmt.Errorf("server %q: want a literal address, like 10.96.0.10 or [fd00:10:96::a]:53", r.Server)
		}
		config.Servers, config.Port = []string{host}, port
	}
	if len(config.Servers) == 0 {
		return nil, fmt.Errorf("%s names no server", path)
	}
	return config, nil
}

// ForPods says whether resolv.conf is one that a kubelet writes for pods: its
// search list leads to Services.
func (r Request) ForPods() bool {
	config, err := r.config()
	return err == nil && slices.ContainsFunc(config.Search, func(domain string) bool { return strings.HasPrefix(domain, "svc.") })
}

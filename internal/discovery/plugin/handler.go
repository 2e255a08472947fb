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
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	coreplugin "github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"switchyard.dev/switchyard/internal/discovery"
	"switchyard.dev/switchyard/internal/follow"
)

// Resolver finds what is not ours; CoreDNS's upstream asks the server itself.
type Resolver interface {
	Lookup(ctx context.Context, state request.Request, name string, typ uint16) (*dns.Msg, error)
}

// Handler answers queries from an index.
type Handler struct {
	*options
	Next     coreplugin.Handler
	resolver Resolver

	index   *discovery.Index
	sources []follow.Source
	latency *latency
	// local are the server's own addresses.
	local []netip.Addr
	// before are those that answer until this one does; nil when it knows enough.
	before atomic.Pointer[[]*Handler]
	// answers are for use again.
	answers sync.Pool
}

// New makes a Handler that knows nothing yet.
func New(o *options, resolver Resolver) *Handler {
	return &Handler{
		options: o, resolver: resolver, index: discovery.NewIndex(o.Options), latency: newLatency(time.Now()),
		answers: sync.Pool{New: func() any { return new(discovery.Answer) }},
	}
}

// Name is part of CoreDNS's plugin.Handler.
func (h *Handler) Name() string { return Name }

// query is one that is being answered.
type query struct {
	h     *Handler
	ctx   context.Context
	state request.Request
	// zone is ours that the name is in, written as in the question.
	zone string
	kind uint16

	records, extra []dns.RR
	truncated      bool
	// failed is that nobody has told what an ExternalName leads to.
	failed bool
}

// ServeDNS is part of CoreDNS's plugin.Handler.
func (h *Handler) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	state := request.Request{W: w, Req: r}
	zone := longest(h.zones, state.Name())
	if zone == "" {
		return coreplugin.NextOrFailure(h.Name(), h.Next, ctx, w, r)
	}
	kind := state.QType()
	if kind == dns.TypeAXFR || kind == dns.TypeIXFR {
		return dns.RcodeRefused, nil
	}
	name := state.QName()
	q := query{h: h, ctx: ctx, state: state, zone: name[len(name)-len(zone):], kind: kind}
	exists, known := q.answer(state.Name())
	switch {
	case q.failed, !known && !h.full():
		return q.write(dns.RcodeServerFailure)
	case !exists && longest(h.fall.Zones, state.Name()) != "":
		return coreplugin.NextOrFailure(h.Name(), h.Next, ctx, w, r)
	case !exists:
		return q.write(dns.RcodeNameError)
	}
	return q.write(dns.RcodeSuccess)
}

// answer gathers the records for name, which is in lower case. Known is what
// does not depend on the cluster.
func (q *query) answer(name string) (exists, known bool) {
	relative := strings.TrimSuffix(name[:len(name)-len(q.zone)], ".")
	switch {
	case relative == "" && q.kind == dns.TypeSOA:
		q.records = []dns.RR{q.soa()}
		return true, true
	case relative == "" && q.kind == dns.TypeNS:
		q.nameServers()
		return true, false
	case relative == "ns.dns":
		q.nameServerAddresses()
		return true, false
	case relative == "dns-version":
		if q.kind == dns.TypeTXT {
			q.version()
		}
		return true, true
	}
	if address, is := discovery.ReverseAddress(name); is {
		return q.reverse(address), false
	}
	if isReverse(strings.ToLower(q.zone)) || strings.HasSuffix(name, ".arpa.") {
		return relative == "" || relative == "dns", false
	}
	return q.find(relative, q.state.QName(), nil), false
}

// reverse answers for an address; a name that it has makes its name exist.
func (q *query) reverse(address netip.Addr) bool {
	names := q.h.index.Reverse(address, q.h.Zone, nil)
	if q.kind == dns.TypePTR {
		for _, name := range names {
			q.records = append(q.records, &dns.PTR{Hdr: q.header(q.state.QName(), dns.TypePTR), Ptr: name})
		}
	}
	return len(names) > 0
}

// write sends what was gathered; where that is nothing, how long that holds.
func (q *query) write(rcode int) (int, error) {
	m := new(dns.Msg)
	m.SetRcode(q.state.Req, rcode)
	m.Authoritative = true
	if rcode == dns.RcodeSuccess && len(q.records) > 0 {
		m.Answer, m.Extra, m.Truncated = q.records, q.extra, q.truncated
	} else {
		m.Ns = []dns.RR{q.soa()}
	}
	if err := q.state.W.WriteMsg(m); err != nil {
		// Who has gone away needs no answer. Who gets a name that can not be sent
		// does: else it waits, and asks again.
		return dns.RcodeServerFailure, err
	}
	return dns.RcodeSuccess, nil // written
}

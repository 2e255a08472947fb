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

package trace

import (
	"net/netip"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/flowtrace"
	"switchyard.dev/switchyard/internal/probe"
)

func endpoint(text string) netip.AddrPort {
	if text == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(text)
}

// packet reads steps as "table family;chain;verdict".
func packet(to string, steps ...string) flowtrace.Packet {
	var p flowtrace.Packet
	for i, text := range steps {
		part := strings.Split(text, ";")
		step := flowtrace.Step{Table: part[0], Chain: part[1], Verdict: part[2], Destination: endpoint(to)}
		if !strings.HasPrefix(step.Verdict, "policy") {
			step.Handle = uint64(i + 7)
		}
		p.Steps = append(p.Steps, step)
	}
	return p
}

func tracked(server, client string) *Tracked {
	return &Tracked{Server: endpoint(server), Client: endpoint(client), Source: endpoint("10.244.1.5:4000")}
}

func TestWhatTheKernelDidIsComparedWithWhatWasExplained(t *testing.T) {
	const web, kept, away = "10.244.2.5:8080", "10.244.1.5:4000", "172.30.0.11:5000"
	through := packet(web, "ip switchyard;nat-prerouting;accept", "ip switchyard;filter-forward;policy accept")
	passed := packet("1.1.1.1:443", "ip switchyard;nat-prerouting;policy accept")
	foreign := packet(web, "ip switchyard;nat-prerouting;accept", "inet firewall;guard;drop")
	refusal := packet("10.96.0.12:80", "ip switchyard;filter-forward;goto refuse", "ip switchyard;refuse;drop")
	for name, tc := range map[string]struct {
		to      string
		outcome probe.Outcome
		packets []flowtrace.Packet
		tracked *Tracked
		// want is the disagreement, empty if there is none to be.
		want  string
		notes string
	}{
		"as explained":               {to: "web:80", outcome: probe.Answered, packets: []flowtrace.Packet{through}, tracked: tracked(web, kept)},
		"to somebody else":           {to: "web:80", outcome: probe.Answered, packets: []flowtrace.Packet{through}, tracked: tracked("10.9.9.9:80", kept), want: "it was sent to 10.9.9.9:80"},
		"masqueraded, it should not": {to: "web:80", outcome: probe.Answered, packets: []flowtrace.Packet{through}, tracked: tracked(web, away), want: "masqueraded as 172.30.0.11"},
		"dropped by a foreign rule": {to: "web:80", outcome: probe.TimedOut, packets: []flowtrace.Packet{foreign},
			want: "it was dropped by inet firewall, chain guard, rule 8", notes: "`nft -a list chain inet firewall guard` on node-1"},
		"never seen": {to: "web:80", outcome: probe.TimedOut, want: "no packet of it was seen on node-1", notes: "It was lost before"},
		"nobody listens": {to: "web:80", outcome: probe.Refused, packets: []flowtrace.Packet{through}, tracked: tracked(web, kept),
			notes: "10.244.2.5:8080 itself refused"},
		"lost behind the node": {to: "web:80", outcome: probe.TimedOut, packets: []flowtrace.Packet{through}, tracked: tracked(web, kept),
			notes: "lost between node-1 and 10.244.2.5:8080"},
		"refused":                      {to: "nobody:80", outcome: probe.Refused, packets: []flowtrace.Packet{refusal}},
		"refusal that nobody heard of": {to: "nobody:80", outcome: probe.TimedOut, packets: []flowtrace.Packet{refusal}, want: "explained was that it is refused by Services; it was dropped"},
		"refused, it should not":       {to: "web:80", outcome: probe.Refused, packets: []flowtrace.Packet{refusal}, want: "it was refused by ip switchyard, chain refuse, rule 8"},
		"dropped":                      {to: "10.96.9.9:80", outcome: probe.TimedOut, packets: []flowtrace.Packet{packet("10.96.9.9:80", "ip switchyard;check-addresses;drop")}},
		"let in, it should not":        {to: "10.96.9.9:80", outcome: probe.Answered, packets: []flowtrace.Packet{through}, tracked: tracked(web, kept), want: "it was sent to 10.244.2.5:8080"},
		"passed on":                    {to: "1.1.1.1:443", outcome: probe.Answered, packets: []flowtrace.Packet{passed}},
		"passed on and dropped": {to: "1.1.1.1:443", outcome: probe.TimedOut, want: "its policy",
			packets: []flowtrace.Packet{packet("1.1.1.1:443", "inet firewall;guard;policy drop")}, notes: "not Switchyard's"},
	} {
		t.Run(name, func(t *testing.T) {
			a := answer(t, objects(), Query{From: "client", To: tc.to})
			r := newReport(a, probe.Answer{Outcome: tc.outcome, Elapsed: elapsed}, Seen{Packets: tc.packets, Tracked: tc.tracked})
			if tc.want == "" && r.Disagreement != "" || !strings.Contains(r.Disagreement, tc.want) {
				t.Errorf("disagreement %q, want %q", r.Disagreement, tc.want)
			}
			if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, tc.notes) {
				t.Errorf("notes %q, want %q", notes, tc.notes)
			}
			loud := map[bool]string{true: "AGREES: ", false: "DISAGREES: "}[tc.want == ""]
			if !strings.Contains(r.Text(), "\n"+loud) {
				t.Errorf("it does not say %s\n%s", loud, r.Text())
			}
		})
	}
}

func TestTheWayIsToldChainByChain(t *testing.T) {
	// The kernel may give a later packet the number of the first.
	p := packet("10.244.2.5:8080", "ip raw;first;policy accept",
		"ip switchyard;nat-prerouting;jump find-service", "ip switchyard;find-service;goto services", "ip switchyard;services;accept",
		"inet firewall;guard;drop", "ip switchyard;nat-prerouting;policy accept")
	r := newReport(answer(t, objects(), Query{From: "client", To: "web:80"}), probe.Answer{Outcome: probe.TimedOut}, Seen{Packets: []flowtrace.Packet{p}})
	want := `
  ip raw         first                                   policy accept
  ip switchyard  nat-prerouting, find-service, services  accept
  inet firewall  guard                                   drop by rule 11

`
	if text := r.Text(); !strings.Contains(text, want) {
		t.Errorf("no such lines:%s\nin\n%s", want, text)
	}
}

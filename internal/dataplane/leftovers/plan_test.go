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

package leftovers

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// at names a chain as "table chain".
func at(name string) place {
	table, chain, _ := strings.Cut(name, " ")
	return place{table, chain}
}

func base(name string) chain { return chain{place: at(name), base: true} }
func last(name string) chain { return chain{place: at(name), base: true, last: true} }
func plain(names ...string) []chain {
	var chains []chain
	for _, name := range names {
		chains = append(chains, chain{place: at(name)})
	}
	return chains
}

func inWords(edits []edit) []string {
	var texts []string
	verbs := map[removal]string{removeRule: "rule of", removeRules: "rules of", removeChain: "chain", removeTable: "table"}
	for _, e := range edits {
		texts = append(texts, strings.TrimSpace(verbs[e.what]+" "+e.table+" "+e.chain))
	}
	return texts
}

func TestWhatIsRemovedInWhichOrder(t *testing.T) {
	tests := map[string]struct {
		state                state
		entries, exits, rest []string
		kept                 []place
	}{
		"a node that kube-proxy was never on": {state: state{
			tables: []string{"nat", "filter"},
			chains: append(plain("nat DOCKER", "filter KUBE-FIREWALL", "mangle KUBE-IPTABLES-HINT"), base("nat PREROUTING"), base("filter INPUT")),
			rules:  []rule{{at("nat PREROUTING"), 1, "DOCKER"}, {at("filter INPUT"), 2, "KUBE-FIREWALL"}},
		}},
		"the ways in before what they lead to": {
			state: state{
				tables: []string{"nat"},
				chains: append(plain("nat KUBE-SERVICES", "nat KUBE-SVC-A", "nat KUBE-SEP-A", "nat KUBE-POSTROUTING"), base("nat PREROUTING"), last("nat POSTROUTING")),
				rules: []rule{
					{at("nat PREROUTING"), 1, "KUBE-SERVICES"}, {at("nat POSTROUTING"), 2, "KUBE-POSTROUTING"},
					{at("nat KUBE-SERVICES"), 3, "KUBE-SVC-A"}, {at("nat KUBE-SVC-A"), 4, "KUBE-SEP-A"},
				},
			},
			entries: []string{"rule of nat PREROUTING"},
			exits:   []string{"rule of nat POSTROUTING"},
			rest: []string{
				"rules of nat KUBE-SERVICES", "rules of nat KUBE-SVC-A", "rules of nat KUBE-SEP-A", "rules of nat KUBE-POSTROUTING",
				"chain nat KUBE-SERVICES", "chain nat KUBE-SVC-A", "chain nat KUBE-SEP-A", "chain nat KUBE-POSTROUTING",
			},
		},
		"the nftables mode": {
			state: state{
				tables: []string{"kube-proxy", "other"},
				chains: append(plain("kube-proxy services"), base("kube-proxy nat-prerouting"), last("kube-proxy nat-postrouting")),
				rules: []rule{
					{at("kube-proxy nat-prerouting"), 1, "services"}, {at("kube-proxy nat-prerouting"), 2, "services"},
					{at("kube-proxy services"), 3, ""}, {at("kube-proxy nat-postrouting"), 4, ""},
				},
			},
			entries: []string{"rules of kube-proxy nat-prerouting"},
			exits:   []string{"rules of kube-proxy nat-postrouting"},
			rest:    []string{"table kube-proxy"},
		},
		"what others count on stays, and what that leads to": {
			state: state{
				chains: append(plain("nat KUBE-SERVICES", "nat KUBE-SVC-A", "nat KUBE-MARK-MASQ", "nat KUBE-NODEPORTS", "nat MINE"), base("nat OUTPUT")),
				rules: []rule{
					{at("nat OUTPUT"), 1, "KUBE-SERVICES"}, {at("nat MINE"), 2, "KUBE-SVC-A"}, {at("nat KUBE-SVC-A"), 3, "KUBE-MARK-MASQ"},
					{at("nat KUBE-SERVICES"), 4, "KUBE-SVC-A"},
				},
			},
			entries: []string{"rule of nat OUTPUT"},
			rest:    []string{"rules of nat KUBE-SERVICES", "rules of nat KUBE-NODEPORTS", "chain nat KUBE-SERVICES", "chain nat KUBE-NODEPORTS"},
			kept:    []place{at("nat KUBE-MARK-MASQ"), at("nat KUBE-SVC-A")},
		},
		"what is marked for others is masqueraded as before": {
			state: state{
				chains: append(plain("nat KUBE-SERVICES", "nat KUBE-MARK-MASQ", "nat KUBE-POSTROUTING", "nat CNI-DN-A"), base("nat PREROUTING"), last("nat POSTROUTING")),
				rules: []rule{
					{at("nat PREROUTING"), 1, "KUBE-SERVICES"}, {at("nat POSTROUTING"), 2, "KUBE-POSTROUTING"}, {at("nat CNI-DN-A"), 3, "KUBE-MARK-MASQ"},
					{at("nat KUBE-MARK-MASQ"), 4, ""}, {at("nat KUBE-POSTROUTING"), 5, ""},
				},
			},
			entries: []string{"rule of nat PREROUTING"},
			rest:    []string{"rules of nat KUBE-SERVICES", "chain nat KUBE-SERVICES"},
			kept:    []place{at("nat KUBE-MARK-MASQ"), at("nat KUBE-POSTROUTING")},
		},
		"the ipvs mode": {
			state: state{
				chains: append(plain("filter KUBE-IPVS-FILTER", "filter KUBE-NODE-PORT", "nat KUBE-LOAD-BALANCER", "filter KUBE-ROUTER-INPUT"), base("filter INPUT")),
				rules:  []rule{{at("filter INPUT"), 1, "KUBE-IPVS-FILTER"}, {at("filter INPUT"), 2, "KUBE-ROUTER-INPUT"}, {at("filter INPUT"), 3, "KUBE-NODE-PORT"}},
			},
			entries: []string{"rule of filter INPUT", "rule of filter INPUT"},
			rest: []string{
				"rules of filter KUBE-IPVS-FILTER", "rules of filter KUBE-NODE-PORT", "rules of nat KUBE-LOAD-BALANCER",
				"chain filter KUBE-IPVS-FILTER", "chain filter KUBE-NODE-PORT", "chain nat KUBE-LOAD-BALANCER",
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := planRemoval(tc.state)
			for what, diff := range map[string]string{
				"entries": cmp.Diff(tc.entries, inWords(got.entries)), "exits": cmp.Diff(tc.exits, inWords(got.exits)), "rest": cmp.Diff(tc.rest, inWords(got.rest)),
			} {
				if diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
			if !slices.Equal(got.kept, tc.kept) {
				t.Errorf("kept %v, want %v", got.kept, tc.kept)
			}
		})
	}
}

func TestNothingIsPlannedWhereOursDoesNotServe(t *testing.T) {
	proxied := state{tables: []string{proxyTable}}
	served := proxied
	served.serves = true
	_, err := planAll(func(f model.Family) (state, error) {
		if f == model.IPv6 {
			return proxied, nil
		}
		return served, nil
	})
	if !errors.Is(err, ErrNotServed) || !strings.Contains(err.Error(), "IPv6") {
		t.Errorf("got %v", err)
	}
	plans, err := planAll(func(f model.Family) (state, error) {
		if f == model.IPv6 {
			return state{}, unix.EAFNOSUPPORT
		}
		return served, nil
	})
	if err != nil || plans[model.IPv4].empty() {
		t.Errorf("on a machine without IPv6: %v, %+v", err, plans)
	}
}

func TestPacketsLeaveBetweenSteps(t *testing.T) {
	var log []string
	plans := map[model.Family]plan{
		model.IPv4: {entries: []edit{{place: at("nat in")}}, exits: []edit{{place: at("nat out")}}, rest: []edit{{place: at("kube-proxy"), what: removeTable}}},
		model.IPv6: {entries: []edit{{place: at("nat in6")}}, kept: []place{at("nat KUBE-SVC-A")}},
	}
	done, err := carryOut(plans, func(_ model.Family, edits []edit) (int, error) {
		for _, e := range edits {
			log = append(log, strings.TrimSpace(e.table+" "+e.chain))
		}
		return len(edits), nil
	}, func() { log = append(log, "settle") })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"settle", "nat in", "nat in6", "settle", "nat out", "settle", "kube-proxy"}, log); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := []string{
		"IPv4: closed 1 ways into kube-proxy's rules", "IPv6: closed 1 ways into kube-proxy's rules", "IPv4: closed 1 ways into them in postrouting",
		"IPv4: removed table kube-proxy", "IPv6: kept KUBE-SVC-A of iptables' table nat: rules of others lead there",
	}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
}

func TestWhatIsDoneBeforeAnErrorIsSaid(t *testing.T) {
	empty := func(name string) edit { return edit{place: at(name), what: removeRules} }
	end := func(name string) edit { return edit{place: at(name), what: removeChain} }
	plans := map[model.Family]plan{}
	for _, family := range families {
		plans[family] = plan{
			entries: []edit{{place: at("nat PREROUTING")}, {place: at("nat OUTPUT")}}, exits: []edit{{place: at("nat POSTROUTING")}},
			rest: []edit{empty("nat KUBE-SVC-A"), empty("nat KUBE-SVC-B"), end("nat KUBE-SVC-A"), end("nat KUBE-SVC-B")},
			kept: []place{at("nat KUBE-MARK-MASQ")},
		}
	}
	entered := []string{"IPv4: closed 2 ways into kube-proxy's rules", "IPv6: closed 2 ways into kube-proxy's rules"}
	left := []string{"IPv4: closed 1 ways into them in postrouting", "IPv6: closed 1 ways into them in postrouting"}
	failed := errors.New("no")
	for name, tc := range map[string]struct {
		// edits are how many the kernel takes in all.
		edits int
		want  []string
	}{
		"at once":                  {0, nil},
		"in the second family":     {2, entered[:1]},
		"in the second step":       {4, entered},
		"after the chains' rules":  {8, slices.Concat(entered, left, []string{"IPv4: emptied 2 chains of iptables' table nat"})},
		"in the middle of chains":  {9, slices.Concat(entered, left, []string{"IPv4: removed 1 chains of iptables' table nat", "IPv4: emptied 1 chains of iptables' table nat"})},
		"after one family is done": {10, slices.Concat(entered, left, []string{"IPv4: removed 2 chains of iptables' table nat"})},
	} {
		room := tc.edits
		done, err := carryOut(plans, func(_ model.Family, edits []edit) (int, error) {
			if len(edits) > room {
				return room, failed
			}
			room -= len(edits)
			return len(edits), nil
		}, func() {})
		if !errors.Is(err, failed) {
			t.Errorf("%s: a refusal became %v", name, err)
		}
		if diff := cmp.Diff(tc.want, done); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

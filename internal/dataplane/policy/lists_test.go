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

package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// here is a node named "here" in zone "a".
var here = Place{NodeName: "here", Zone: "a"}

// at reads endpoints such as "1 ready here node:here zone:a,b": the last
// number of the address, conditions, the node, and hints.
func at(texts ...string) []model.Endpoint {
	var list []model.Endpoint
	for _, text := range texts {
		words := strings.Fields(text)
		e := model.Endpoint{Addr: netip.MustParseAddrPort("10.0.0." + words[0] + ":80"), NodeName: "there"}
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, ":")
			if e.Hints == nil && (key == "node" || key == "zone") {
				e.Hints = &model.Hints{}
			}
			switch key {
			case "ready":
				e.Ready, e.Serving = true, true
			case "early": // publishNotReadyAddresses
				e.Ready = true
			case "leaving":
				e.Serving, e.Terminating = true, true
			case "gone":
				e.Terminating = true
			case "serving":
				e.Serving = true
			case "here":
				e.NodeName = "here"
			case "nowhere":
				e.NodeName = ""
			case "node":
				e.Hints.ForNodes = strings.Split(value, ",")
			case "zone":
				e.Hints.ForZones = strings.Split(value, ",")
			default:
				panic(word)
			}
		}
		list = append(list, e)
	}
	return list
}

// lasts are the last numbers of addresses, such as "1 3".
func lasts(list []netip.AddrPort) string {
	var words []string
	for _, addr := range list {
		words = append(words, fmt.Sprint(addr.Addr().As4()[3]))
	}
	return strings.Join(words, " ")
}

func TestWhichEndpointsAreUsed(t *testing.T) {
	for name, tc := range map[string]struct {
		endpoints             []model.Endpoint
		place                 Place
		cluster, local, known string
	}{
		"none":                      {place: here},
		"ready ones, here and else": {at("1 ready", "2 ready here"), here, "1 2", "2", "1 2"},
		"ready ones, while there are any; terminating ones keep their flows": {
			at("1 ready", "2", "3 leaving", "4 gone"), here, "1", "", "1 3"},
		"terminating ones that still answer when no ready one is left": {at("1", "3 leaving", "4 gone"), here, "3", "", "3"},
		"nothing when nobody answers":                                  {at("1", "4 gone"), here, "", "", ""},
		"one that serves but was told not to be ready":                 {at("1 serving", "2 serving here"), here, "", "", "1 2"},
		"one published before it is ready":                             {at("1 early", "2 early here"), here, "1 2", "2", "1 2"},
		"terminating ones here, though ready ones are elsewhere":       {at("1 ready", "2 leaving here"), here, "1", "2", "1 2"},
		"ready ones elsewhere, while some terminate here and some are ready here": {
			at("1 ready", "2 leaving here", "3 ready here"), here, "1 3", "3", "1 2 3"},
		"terminating ones everywhere":             {at("1 leaving", "2 leaving here"), here, "1 2", "2", "1 2"},
		"an endpoint of no node is local to none": {at("1 ready nowhere"), Place{}, "1", "", "1"},

		"hints for this node": {at("1 ready node:here", "2 ready node:there", "3 ready node:x,here"), here, "1 3", "", "1 2 3"},
		"hints for this node come before those for its zone": {
			at("1 ready node:here zone:b", "2 ready node:there zone:a"), here, "1", "", "1 2"},
		"hints for other nodes only: zones are asked": {
			at("1 ready node:x zone:a", "2 ready node:y zone:b"), here, "1", "", "1 2"},
		"not all have a hint for a node: zones are asked": {
			at("1 ready node:here zone:a", "2 ready zone:a", "3 ready node:x zone:b"), here, "1 2", "", "1 2 3"},
		"hints for this zone":                    {at("1 ready zone:a", "2 ready zone:b", "3 ready zone:b,a"), here, "1 3", "", "1 2 3"},
		"hints for other zones only are ignored": {at("1 ready zone:b", "2 ready zone:c"), here, "1 2", "", "1 2"},
		"one ready endpoint without a hint is enough to ignore them all": {
			at("1 ready zone:a", "2 ready zone:b", "3 ready"), here, "1 2 3", "", "1 2 3"},
		"one that is not ready needs no hint":     {at("1 ready zone:a", "2 ready zone:b", "3", "4 leaving"), here, "1", "", "1 2 4"},
		"one that is not ready can not be chosen": {at("1 zone:a", "2 ready zone:b"), here, "2", "", "2"},
		"a node of no zone follows no zone":       {at("1 ready zone:a", "2 ready zone:b"), Place{NodeName: "here"}, "1 2", "", "1 2"},
		"no zone is not a zone of that name": {
			[]model.Endpoint{{Addr: netip.MustParseAddrPort("10.0.0.1:80"), Ready: true, Hints: &model.Hints{ForZones: []string{""}}},
				{Addr: netip.MustParseAddrPort("10.0.0.2:80"), Ready: true, Hints: &model.Hints{ForZones: []string{"a"}}}},
			Place{NodeName: "here"}, "1 2", "", "1 2"},
		"no name is not a node of that name": {
			[]model.Endpoint{{Addr: netip.MustParseAddrPort("10.0.0.1:80"), Ready: true, Hints: &model.Hints{ForNodes: []string{""}}},
				{Addr: netip.MustParseAddrPort("10.0.0.2:80"), Ready: true, Hints: &model.Hints{ForNodes: []string{"here"}}}},
			Place{Zone: "a"}, "1 2", "", "1 2"},
		"hints do not hold for those that terminate": {at("1 leaving zone:a", "2 leaving zone:b"), here, "1 2", "", "1 2"},
		"hints never narrow the local list": {
			at("1 ready here zone:b", "2 ready zone:a", "3 ready here node:there zone:a"), here, "2 3", "1 3", "1 2 3"},
	} {
		t.Run(name, func(t *testing.T) {
			port := servicePort(model.TCP)
			port.Traffic.InternalLocal = true
			got, ok := Decide(port, tc.endpoints, model.IPv4, tc.place)
			if !ok {
				t.Fatal("no decision")
			}
			want := []string{tc.cluster, tc.local, tc.known}
			if diff := cmp.Diff(want, []string{lasts(got.Cluster), lasts(got.Local), lasts(got.Known)}); diff != "" {
				t.Errorf("cluster, local, known (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhichEndpointsMayBeTheirOwnClientsHere(t *testing.T) {
	for name, tc := range map[string]struct {
		endpoints []model.Endpoint
		near      string
	}{
		"those of this node":                   {at("1 ready", "2 ready here", "3 ready"), "2"},
		"those that may be on any node":        {at("1 ready", "2 ready nowhere", "3 ready here"), "2 3"},
		"none, if all are on others":           {at("1 ready", "2 ready"), ""},
		"only those that are chosen":           {at("1 ready here", "2 here", "3 leaving nowhere"), "1"},
		"only those that are hinted":           {at("1 ready here node:there", "2 ready node:here"), ""},
		"terminating ones, when none is ready": {at("1 leaving here", "2 leaving"), "1"},
	} {
		d, _ := Decide(servicePort(model.TCP), tc.endpoints, model.IPv4, here)
		if diff := cmp.Diff(tc.near, lasts(d.Near)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Every endpoint has exactly one reason, and those that are chosen are the list.
func TestAVerdictOnEachEndpoint(t *testing.T) {
	endpoints := at("1 ready zone:a", "2 ready zone:b", "3 leaving", "4 gone", "5", "6 ready here node:x zone:b")
	for scope, want := range map[Scope][]Verdict{
		ClusterScope: {Chosen, ForAnotherZone, Terminating, NotReady, NotReady, ForAnotherZone},
		LocalScope:   {OnAnotherNode, OnAnotherNode, OnAnotherNode, OnAnotherNode, OnAnotherNode, Chosen},
	} {
		selection := Select(endpoints, scope, here)
		var got []Verdict
		for i := range endpoints {
			got = append(got, selection.Verdict(&endpoints[i]))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("scope %d (-want +got):\n%s", scope, diff)
		}
	}
	nodes := at("1 ready node:here", "2 ready node:x")
	selection := Select(nodes, ClusterScope, here)
	if got := selection.Verdict(&nodes[1]); got != ForAnotherNode || selection.Topology != SameNode {
		t.Errorf("with hints for nodes: %q by %+v", got, selection)
	}
}

func TestListsThatAreTheSameShareMemory(t *testing.T) {
	port := servicePort(model.TCP)
	port.Traffic.InternalLocal = true
	d, _ := Decide(port, at("1 ready here", "2 ready here"), model.IPv4, here)
	if &d.Cluster[0] != &d.Known[0] || &d.Local[0] != &d.Known[0] || &d.Near[0] != &d.Known[0] {
		t.Error("more than one copy of a list")
	}
	if cap(d.Cluster) != len(d.Cluster) {
		t.Error("whoever appends to one list writes to the others")
	}
}

func TestAServiceOfTooManyEndpointsUsesTheFirst(t *testing.T) {
	const all = model.MaxEndpoints + 5000
	endpoints := make([]model.Endpoint, all)
	for i := range endpoints {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		endpoints[i] = model.Endpoint{Addr: netip.AddrPortFrom(addr, 80), NodeName: "here", Ready: true, Serving: true}
	}
	port := servicePort(model.TCP)
	port.Traffic.ExternalLocal = true
	d, _ := Decide(port, endpoints, model.IPv4, here)
	if len(d.Cluster) != model.MaxEndpoints || len(d.Local) != model.MaxEndpoints || len(d.Known) != all {
		t.Errorf("%d of the cluster, %d local, %d known", len(d.Cluster), len(d.Local), len(d.Known))
	}
	if last := d.Cluster[len(d.Cluster)-1]; last != endpoints[model.MaxEndpoints-1].Addr {
		t.Errorf("the last one used is %s", last)
	}
}

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

package discovery

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The index is told of changes one by one; Records looks at everything anew.
func TestTheIndexAnswersWhatRecordsSays(t *testing.T) {
	for name, o := range map[string]Options{
		"by default":          {Zone: zone, TTL: 5},
		"pod names":           {Zone: zone, TTL: 5, EndpointPodNames: true},
		"empty ones left out": {Zone: zone, TTL: 5, IgnoreEmpty: true},
	} {
		t.Run(name, func(t *testing.T) {
			seen := map[Type]int{}
			for seed := range uint64(10) {
				w := newWorld(seed, o)
				for i := range 400 {
					w.step()
					if i%4 == 0 || i > 380 {
						w.compare(t, seen)
					}
					if t.Failed() {
						t.Fatalf("seed %d, step %d", seed, i)
					}
				}
			}
			for _, which := range []Type{A, AAAA, SRV, PTR, CNAME} {
				if seen[which] < 1000 {
					t.Errorf("only %d records of type %s were compared", seen[which], which)
				}
			}
		})
	}
}

// compare asks for every record there is, and for names that there are not.
func (w *world) compare(t *testing.T, seen map[Type]int) {
	t.Helper()
	want := map[string][]string{}
	names := map[string]bool{}
	for _, r := range w.records() {
		key := string(r.Type) + " " + r.Name
		want[key] = append(want[key], r.Data)
		for name := r.Name; strings.HasSuffix(name, ".svc."+zone); _, name, _ = strings.Cut(name, ".") {
			names[name] = true
		}
		seen[r.Type]++
	}
	for namespace := range w.namespaces {
		names[namespace+".svc."+zone] = true
	}
	for key, data := range want {
		which, name, _ := strings.Cut(key, " ")
		got := w.ask(Type(which), name)
		slices.Sort(data)
		if diff := cmp.Diff(slices.Compact(data), got); diff != "" {
			t.Errorf("%s (-Records +Index):\n%s", key, diff)
		}
	}
	for _, address := range w.addresses() {
		name := ReverseName(address)
		if got := w.ask(PTR, name); len(got) > 0 && len(want["PTR "+name]) == 0 {
			t.Errorf("%s is of %v, Records has nothing", name, got)
		}
	}
	for _, name := range w.nearMisses() {
		if exists := w.index.Lookup(Question{Name: strings.TrimSuffix(name, "."+zone), Zone: zone, Type: TXT}, &Answer{}); exists != names[name] {
			t.Errorf("%s exists: index says %v, Records %v", name, exists, names[name])
		}
	}
}

// addresses are all that something has.
func (w *world) addresses() []netip.Addr {
	var all []netip.Addr
	for _, svc := range w.services {
		all = append(all, clusterIPs(svc)...)
	}
	for _, eps := range w.slices {
		for _, endpoint := range eps.Endpoints {
			for _, text := range endpoint.Addresses {
				all = append(all, netip.MustParseAddr(text))
			}
		}
	}
	return all
}

// ask returns an answer as Records writes it.
func (w *world) ask(which Type, name string) []string {
	var data []string
	if which == PTR {
		address, is := ReverseAddress(name)
		if !is {
			return []string{"not a reverse name: " + name}
		}
		return w.index.Reverse(address, zone, nil)
	}
	var answer Answer
	if !w.index.Lookup(Question{Name: strings.TrimSuffix(name, "."+zone), Zone: zone, Type: which}, &answer) {
		return []string{"NXDOMAIN"}
	}
	for _, a := range answer.Addresses {
		data = append(data, a.String())
	}
	for _, s := range answer.Services {
		data = append(data, fmt.Sprintf("0 %d %d %s", s.Weight, s.Port, s.Target))
	}
	if answer.Target != "" {
		data = append(data, answer.Target)
	}
	slices.Sort(data)
	return data
}

// nearMisses are names of which some exist and some do not.
func (w *world) nearMisses() []string {
	var names []string
	for _, namespace := range namespaces {
		names = append(names, namespace+".svc."+zone)
		for i := range 7 {
			svc := fmt.Sprintf("s%d.%s.svc.%s", i, namespace, zone)
			names = append(names, svc)
			for _, before := range []string{
				"10-0-0-1", "10-0-0-2", "10-0-0-21", "010-0-0-1", "fd00--1", "fd00-0--1", "fd00-1--0", "fd00-2--", "db-0", "db-1", "db-9", "pod-1", "pod-2", "pod",
				"_tcp", "_udp", "_sctp", "_http._tcp", "_http._udp", "_dns._udp", "_m3ua._sctp", "_nothing._tcp", "a.b.c", "x._http._tcp", "-",
			} {
				names = append(names, before+"."+svc)
			}
		}
	}
	return append(names, "s1.a.svc.svc."+zone, "a.b.c.nothing."+zone, `s1\.a.svc.`+zone)
}

// Nothing is left of what has gone.
func TestTheIndexForgets(t *testing.T) {
	w := newWorld(7, Options{Zone: zone})
	for range 2000 {
		w.step()
	}
	for name := range w.services {
		w.index.DeleteService(name.Namespace, name.Name)
	}
	for name := range w.slices {
		w.index.DeleteSlice(name.Namespace, name.Name)
	}
	services, owners := 0, 0
	for i := range shardCount {
		services += len(w.index.services.of[i].values)
		owners += len(w.index.owners.of[i].values) + len(w.index.sharers.of[i].values)
	}
	if services+owners+len(w.index.slices) != 0 {
		t.Errorf("left are %d Services, %d addresses, %d slices", services, owners, len(w.index.slices))
	}
}

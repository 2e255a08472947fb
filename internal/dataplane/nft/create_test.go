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

package nft_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl/nfnltest"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// A new table is written in parts of 512 ServicePorts.
const part = 512

// What a first attempt leaves behind is a table like any other: the next takes
// it over and writes the rest.
func TestATableThatWasWrittenInPartIsCompleted(t *testing.T) {
	const services = 2*part + 100
	for _, family := range families {
		for name, again := range map[string]bool{"by the same agent": true, "by the next agent": false} {
			t.Run(family.String()+" "+name, func(t *testing.T) {
				ns := newNamespace(t)
				faults := &nfnltest.Faults{}
				ours := open(t, ns, family, nft.Options{Dial: faults.Dial})
				faults.Add(nfnltest.Commit, 0, 3) // the schema, what every table has, the first part
				faults.Add(nfnltest.Commit, unix.EPERM, 1)
				first, err := ours.FullSync(context.Background(), node(family), crowd(family, services))
				if !errors.Is(err, unix.EPERM) || faults.Left() != 0 || first.Added < 3*part {
					t.Fatalf("%+v, %v, %d failures did not happen", first, err, faults.Left())
				}
				if !again {
					ours = open(t, ns, family, nft.Options{})
				}
				rest := fullSync(t, ours, node(family), crowd(family, services))
				if rest.Recreated || rest.Deleted+rest.Replaced > 0 || rest.Added < 3*(services-part) {
					t.Errorf("the next attempt: %+v", rest)
				}
				expectSynced(t, open(t, ns, family, nft.Options{}), family, crowd(family, services))
			})
		}
	}
}

// The ports of a Service share the ids of their lists, also when they come in
// two parts.
func TestPortsOfOneAffinityThatAreWrittenInTwoPartsShare(t *testing.T) {
	for _, family := range families {
		ns := newNamespace(t)
		desired := crowd(family, part-1)
		for i, name := range []string{"a", "b"} {
			d := decision(family, 1, 3)
			d.Name.Name, d.Name.Port, d.Port = "shared", name, uint16(80+i)
			d.ClusterIP = ip(family, 97, 1)
			d.Affinity, d.AffinityScope = time.Hour, model.PerService
			desired = append(desired, d)
		}
		fullSync(t, open(t, ns, family, nft.Options{}), node(family), desired)
		// Three pins for each port, and one draw for the two of them.
		elements := strings.Count(tool(t, ns, "", "list", "map", keyword(family), "switchyard", "spreads"), " : ")
		if elements != 2 { // with the declaration
			t.Errorf("%s: %d lists have draws, want one for both ports", family, elements-1)
		}
		expectSynced(t, open(t, ns, family, nft.Options{}), family, desired)
	}
}

// More timeouts than there are classes are said once, however many parts there
// are.
func TestClientsThatStayLongerAreSaidOnce(t *testing.T) {
	family := model.IPv4
	var desired []policy.Decision
	for i := range 2*part + 100 {
		d := decision(family, i, 1)
		d.Affinity = time.Duration(1+i) * time.Second
		desired = append(desired, d)
	}
	var said []string
	logger := funcr.New(func(_, args string) { said = append(said, args) }, funcr.Options{})
	ours := open(t, newNamespace(t), family, nft.Options{})
	if _, err := ours.FullSync(log.IntoContext(context.Background(), logger), node(family), desired); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "clients of some Services stay longer than asked") {
		t.Fatalf("said %d lines: %.300q", len(said), said)
	}
	for _, i := range []int{part + 500, 2*part + 99} { // of the second part, and of the last
		if name := fmt.Sprintf("s%05d", i); !strings.Contains(said[0], name) {
			t.Errorf("%s is not named", name)
		}
	}
}

func TestAListOfTheMostEndpointsFitsIntoATable(t *testing.T) {
	family := model.IPv6 // the longer addresses
	ns := newNamespace(t)
	d := decision(family, 1, 0)
	for i := range model.MaxEndpoints {
		d.Cluster = append(d.Cluster, netip.AddrPortFrom(ip(family, 1, i), 8080))
	}
	result := fullSync(t, open(t, ns, family, nft.Options{}), node(family), []policy.Decision{d})
	if result.Added < model.MaxEndpoints {
		t.Errorf("%+v", result)
	}
	expectSynced(t, open(t, ns, family, nft.Options{}), family, []policy.Decision{d})
}

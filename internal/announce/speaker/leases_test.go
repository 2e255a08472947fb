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

package speaker

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/announce/election"
)

func TestRecords(t *testing.T) {
	lease := func(name, standing string, held bool) *coordinationv1.Lease {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: "12"}}
		if standing != "" {
			l.Annotations = map[string]string{standingAnnotation: standing}
		}
		if held {
			l.Spec.HolderIdentity = new("node-1")
		}
		return l
	}
	record := func(s announce.Standing, gone bool) election.Record {
		return election.Record{Node: "node-1", Version: 12, Standing: s, Gone: gone}
	}
	for name, c := range map[string]struct {
		lease *coordinationv1.Lease
		want  election.Record
		ok    bool
	}{
		"fit":         {lease("speaker-node-1", "", true), record(announce.Fit, false), true},
		"last resort": {lease("speaker-node-1", announce.LastResort.String(), true), record(announce.LastResort, false), true},
		"unfit":       {lease("speaker-node-1", announce.Unfit.String(), true), record(announce.Unfit, false), true},
		"gone":        {lease("speaker-node-1", "", false), record(announce.Fit, true), true},
		"of no node":  {lease("speaker-", "", true), election.Record{}, false},
		"another's":   {lease("switchyard-manager", "", true), election.Record{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := recordOf(c.lease)
			if ok != c.ok {
				t.Fatalf("it is a record: %v, want %v", ok, c.ok)
			}
			if diff := cmp.Diff(c.want, got); ok && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A patch has the version that was read, or it would win over what it has not seen;
// and it leaves alone what is the manager's.
func TestClaimsAreWrittenOnCondition(t *testing.T) {
	l := leases{namespace: "system", node: "node-1"}
	for name, c := range map[string]struct {
		write    election.Write
		holder   any
		acquired bool
	}{
		"take":     {election.Write{Kind: election.Take, Holder: "node-1"}, "node-1", true},
		"confirm":  {election.Write{Kind: election.Confirm, Holder: "node-1"}, "node-1", false},
		"transfer": {election.Write{Kind: election.Transfer, Holder: "node-2"}, "node-2", true},
		"release":  {election.Write{Kind: election.Release}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			c.write.Addr, c.write.Version, c.write.Term = netip.MustParseAddr("192.0.2.7"), 1234, 5
			if got := l.name(c.write); got != "lb-192.0.2.7" {
				t.Errorf("the Lease is %s", got)
			}
			var patch map[string]map[string]any
			if err := json.Unmarshal(l.patch(c.write), &patch); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]any{"resourceVersion": "1234"}, patch["metadata"]); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			spec := patch["spec"]
			if holder, there := spec["holderIdentity"]; !there || holder != c.holder {
				t.Errorf("the holder is %v, want %v", holder, c.holder)
			}
			if _, acquired := spec["acquireTime"]; acquired != c.acquired || spec["renewTime"] == nil || spec["leaseTransitions"] != 5.0 {
				t.Errorf("the spec is %v", spec)
			}
		})
	}
}

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

package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/discovery"
	"switchyard.dev/switchyard/internal/records"
)

// Records can go into a file while the notes stay on the screen.
func TestRecordsAndNotesArePrintedApart(t *testing.T) {
	answer := &records.Answer{
		Records: []discovery.Record{
			{Name: "web.shop.svc.cluster.local.", TTL: 5, Type: discovery.A, Data: "10.96.0.7"},
			{Name: "_http._tcp.web.shop.svc.cluster.local.", TTL: 5, Type: discovery.SRV, Data: "0 100 80 web.shop.svc.cluster.local."},
		},
		Hints:   []records.Hint{{Message: "port 53/UDP has no name", Remedy: "give the port a name"}, {Message: "that is all"}},
		NotRead: []string{"you may not list EndpointSlices"},
	}
	var out, notes bytes.Buffer
	if err := printRecords(answer, &out, &notes); err != nil {
		t.Fatal(err)
	}
	wantOut := `web.shop.svc.cluster.local.             5  IN  A    10.96.0.7
_http._tcp.web.shop.svc.cluster.local.  5  IN  SRV  0 100 80 web.shop.svc.cluster.local.
`
	wantNotes := `note      port 53/UDP has no name
          -> give the port a name
note      that is all
not read  you may not list EndpointSlices
`
	if diff := cmp.Diff(wantOut+wantNotes, out.String()+notes.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

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

package localcluster

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/localcluster/control"
)

func TestALogShowsDoneStepsAndLongWaitsOnly(t *testing.T) {
	var out strings.Builder
	clock := time.Unix(0, 0)
	p := &progress{out: &out, now: func() time.Time { return clock }, began: clock}

	p.show(control.Event{Kind: control.Started, Step: "kube-apiserver"})
	p.show(control.Event{Kind: control.Started, Step: "nodes"})
	p.show(control.Event{Kind: control.Waiting, Step: "nodes", Detail: "node-2 is not ready"})
	clock = clock.Add(2 * time.Second)
	p.show(control.Event{Kind: control.Done, Step: "kube-apiserver", Elapsed: 2 * time.Second})
	clock = clock.Add(quiet)
	p.refresh()
	p.refresh()

	want := "  kube-apiserver                       2.0s\n" +
		"  waiting for nodes: node-2 is not ready (7.0s so far)\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestATerminalShowsWhatIsWaitedForInPlace(t *testing.T) {
	var out strings.Builder
	clock := time.Unix(0, 0)
	p := &progress{out: &out, terminal: true, now: func() time.Time { return clock }, began: clock}
	p.show(control.Event{Kind: control.Started, Step: "nodes"})
	p.show(control.Event{Kind: control.Done, Step: "nodes", Elapsed: time.Second})
	want := "  waiting for nodes (0.0s)\r\x1b[K" + "  nodes                                1.0s\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

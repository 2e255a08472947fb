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

package supervisor

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/localcluster/control"
)

func TestAStepTellsItsReasonsAndItsEnd(t *testing.T) {
	var pipe bytes.Buffer
	s := &Supervisor{events: control.NewEvents(&pipe)}
	reasons := []string{"node-2", "node-2", "node-1", ""}
	err := s.step(context.Background(), "nodes", func(ctx context.Context, st *step) error {
		return st.until(ctx, func(context.Context) string {
			reason := reasons[0]
			reasons = reasons[1:]
			return reason
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.events.Send(control.Event{Kind: control.Ready})
	var got []string
	if _, err := control.ReadEvents(&pipe, func(e control.Event) { got = append(got, string(e.Kind)+" "+e.Detail) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"started ", "waiting node-2", "waiting node-1", "done "}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestWhyAStepDidNotEnd(t *testing.T) {
	died := errors.New("etcd ended 3 times")
	tests := map[string]struct {
		end  func(context.CancelCauseFunc)
		want []string
	}{
		"too late":          {end: func(c context.CancelCauseFunc) { c(&lateError{limit: time.Minute}) }, want: []string{"after 1m0s", "--wait", "nodes: node-2"}},
		"a process died":    {end: func(c context.CancelCauseFunc) { c(died) }, want: []string{"etcd ended 3 times"}},
		"its user ended it": {end: func(c context.CancelCauseFunc) { c(errDown) }, want: []string{errDown.Error()}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			s := &Supervisor{events: control.NewEvents(&bytes.Buffer{})}
			err := s.step(ctx, "nodes", func(ctx context.Context, st *step) error {
				return st.until(ctx, func(context.Context) string {
					tc.end(cancel)
					return "node-2"
				})
			})
			for _, want := range tc.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

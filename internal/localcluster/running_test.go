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
	"testing"

	"switchyard.dev/switchyard/internal/localcluster/software"
	"switchyard.dev/switchyard/internal/localcluster/state"
)

func TestAClusterThatRunsFitsIfItIsWhatWasAskedFor(t *testing.T) {
	running := &RunningError{Ready: true, Record: state.Record{Nodes: 2, Zones: []string{"a"}, Software: software.Choice{}.Complete()}}
	stock := software.Choice{Suite: software.SuiteNone}.Complete()
	for name, tc := range map[string]struct {
		nodes  int
		zones  []string
		chosen software.Choice
		want   bool
	}{
		"the same":       {2, []string{"a"}, software.Choice{}.Complete(), true},
		"other nodes":    {3, []string{"a"}, software.Choice{}.Complete(), false},
		"other zones":    {2, nil, software.Choice{}.Complete(), false},
		"other software": {2, []string{"a"}, stock, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := running.Fits(tc.nodes, tc.zones, tc.chosen); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
	running.Ready = false
	if running.Fits(2, []string{"a"}, software.Choice{}.Complete()) {
		t.Error("one that starts is taken for one that is there")
	}
}

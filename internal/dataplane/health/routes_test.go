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

package health

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func TestRoutesAreCounted(t *testing.T) {
	metrics := NewMetrics("test", model.IPv4)
	routes := metrics.ServeRoutes()
	const pending, last = "switchyard_node_routes_pending", "switchyard_node_routes_last_timestamp_seconds"
	expect := func(when, names string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, values(t, metrics, names)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", when, diff)
		}
	}
	expect("at first", "switchyard_node_routes_told_total|"+last,
		`switchyard_node_routes_told_total{result="failed"} 0`, `switchyard_node_routes_told_total{result="taken"} 0`)
	routes.Told(errors.New("away"))
	routes.Pending(true)
	expect("away", pending+"|"+last, pending+" 1")
	routes.Told(nil)
	routes.Pending(false)
	routes.Announced(3, 2)
	expect("taken", "switchyard_node_routes_(announced|told_total|pending)",
		`switchyard_node_routes_announced{ip_family="IPv4"} 3`, `switchyard_node_routes_announced{ip_family="IPv6"} 2`, pending+" 0",
		`switchyard_node_routes_told_total{result="failed"} 1`, `switchyard_node_routes_told_total{result="taken"} 1`)
	if got := values(t, metrics, last); len(got) != 1 {
		t.Errorf("the time is missing: %v", got)
	}
}

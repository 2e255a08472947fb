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

package top

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

const page = `# HELP switchyard_node_service_connections_total Connections begun through the Service
# TYPE switchyard_node_service_connections_total counter
switchyard_node_service_connections_total{ip_family="IPv4",namespace="shop",service="cart"} 40
switchyard_node_service_connections_total{ip_family="IPv6",namespace="shop",service="cart"} 2
switchyard_node_service_connections_total{ip_family="IPv4",namespace="",service="other"} 1.5e+06
switchyard_node_service_tracked_connections{ip_family="IPv4",namespace="shop",service="cart"} 3
switchyard_node_service_tracked_packets{ip_family="IPv4",namespace="shop",service="cart"} 30
switchyard_node_service_tracked_bytes{ip_family="IPv4",namespace="shop",service="cart"} 3000
switchyard_node_service_traffic_failures_total 0
switchyard_node_service_ports{ip_family="IPv4"} 7
go_goroutines 12
`

var (
	cart  = types.NamespacedName{Namespace: "shop", Name: "cart"}
	other = types.NamespacedName{Name: "other"}
	noon  = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
)

func read(t *testing.T, node string, at time.Time, text string) Sample {
	t.Helper()
	s, err := Read(node, at, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMetricsAreAddedUpOverTheFamilies(t *testing.T) {
	want := Sample{Node: "node-1", Time: noon, Counting: true, Services: map[types.NamespacedName]Counts{
		cart:  {Connections: 42, Tracked: 3, Packets: 30, Bytes: 3000, Counted: true},
		other: {Connections: 1_500_000},
	}}
	if diff := cmp.Diff(want, read(t, "node-1", noon, page)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAnAgentThatDoesNotCountIsToldFromAnIdleOne(t *testing.T) {
	if read(t, "node-1", noon, "go_goroutines 12\n").Counting {
		t.Error("counting without its metrics")
	}
	if !read(t, "node-1", noon, "switchyard_node_service_traffic_failures_total 0\n").Counting {
		t.Error("not counting although it does")
	}
}

func TestWhatIsNoMetricsPageIsAnError(t *testing.T) {
	if _, err := Read("node-1", noon, strings.NewReader(begun+"{namespace=\"a\"} many\n")); err == nil || !strings.Contains(err.Error(), "node-1") {
		t.Errorf("error %v", err)
	}
}

func sample(node string, seconds int, connections uint64) Sample {
	return Sample{Node: node, Time: noon.Add(time.Duration(seconds) * time.Second), Counting: true,
		Services: map[types.NamespacedName]Counts{cart: {Connections: connections}}}
}

func TestRates(t *testing.T) {
	for name, tc := range map[string]struct {
		now, before Sample
		want        *float64
	}{
		"over two seconds":              {now: sample("n", 2, 50), before: sample("n", 0, 40), want: new(5.0)},
		"the first reading":             {now: sample("n", 2, 50), before: sample("another", 0, 40)},
		"a count that began again":      {now: sample("n", 2, 6), before: sample("n", 0, 40), want: new(3.0)},
		"a Service that has come":       {now: sample("n", 2, 8), before: Sample{Node: "n", Time: noon, Counting: true}, want: new(4.0)},
		"an agent that counts by now":   {now: sample("n", 2, 8), before: Sample{Node: "n", Time: noon}},
		"two readings at the same time": {now: sample("n", 0, 50), before: sample("n", 0, 40)},
	} {
		t.Run(name, func(t *testing.T) {
			rows := Table([]Sample{tc.now}, []Sample{tc.before})
			if diff := cmp.Diff(tc.want, rows[0].Rate); diff != "" {
				t.Errorf("rate (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheRateOfAnAgentThatWasAwaySpansTheTime(t *testing.T) {
	first := []Sample{sample("n", 0, 40), sample("other", 0, 7)}
	without := Newest([]Sample{sample("other", 2, 9)}, first)
	rows := Table([]Sample{sample("n", 4, 50), sample("other", 4, 9)}, without)
	Sort(rows, ByConnections)
	if diff := cmp.Diff([]*float64{new(2.5), new(0.0)}, []*float64{rows[0].Rate, rows[1].Rate}); diff != "" {
		t.Errorf("rates (-want +got):\n%s", diff)
	}
}

func TestTheTableIsSortedAndCut(t *testing.T) {
	rows := []Row{
		{Namespace: "a", Service: "idle", Node: "node-1"},
		{Namespace: "a", Service: "much", Node: "node-1", Rate: new(1.0), Connections: 10, Packets: new(uint64(9)), Bytes: new(uint64(5 << 20))},
		{Namespace: "a", Service: "often", Node: "node-2", Rate: new(20.0), Connections: 12345, Tracked: 7, Packets: new(uint64(70)), Bytes: new(uint64(999))},
	}
	for name, tc := range map[string]struct {
		order Order
		lines int
		want  string
	}{
		"by connections": {ByConnections, 0, `NAMESPACE  SERVICE  NODE    NEW/S  CONNECTIONS  TRACKED  PACKETS  BYTES
a          often    node-2  20.0   12345        7        70       999B
a          much     node-1  1.0    10           0        9        5.0MiB
a          idle     node-1  -      0            0        -        -
`},
		"by bytes, cut": {ByBytes, 4, `NAMESPACE  SERVICE  NODE    NEW/S  CONNECTIONS  TRACKED  PACKETS  BYTES
a          much     node-1  1.0    10           0        9        5.0MiB
a          often    node-2  20.0   12345        7        70       999B
and 1 more
`},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			Sort(rows, tc.order)
			if err := Print(&b, rows, tc.lines); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, b.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestBytesAreReadable(t *testing.T) {
	for n, want := range map[uint64]string{0: "0B", 999: "999B", 1000: "1.0KiB", 150 << 10: "150KiB", 3 << 29: "1.5GiB", 1<<64 - 1: "16.0EiB"} {
		if got := bytesText(&n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

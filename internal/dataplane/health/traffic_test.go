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
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// readerFunc is a TrafficReader for one test.
type readerFunc func() ([]ServiceTraffic, error)

func (f readerFunc) ReadTraffic(context.Context) ([]ServiceTraffic, error) { return f() }

func TestTrafficOfServicesOnlyGrows(t *testing.T) {
	const names = "switchyard_node_service_(connections_total|tracked_bytes|traffic_failures_total)"
	var (
		metrics = NewMetrics("test")
		read    []ServiceTraffic
		failure error
	)
	metrics.ServeTraffic(readerFunc(func() ([]ServiceTraffic, error) { return read, failure }), 1)
	begun := func(name string, n uint64) ServiceTraffic {
		return ServiceTraffic{Service: types.NamespacedName{Namespace: "default", Name: name}, Family: model.IPv4, Begun: n}
	}
	connections := func(namespace, service, n string) string {
		return `switchyard_node_service_connections_total{ip_family="IPv4",namespace="` + namespace + `",service="` + service + `"} ` + n
	}
	const works, failed = "switchyard_node_service_traffic_failures_total 0", "switchyard_node_service_traffic_failures_total 1"
	check := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, values(t, metrics, names)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	read = []ServiceTraffic{begun("c", 1), begun("b", 10), begun("d", 2)}
	check("only the first has a series of its own", connections("", "other", "3"), connections("default", "b", "10"), works)
	read = []ServiceTraffic{begun("a", 100), begun("b", 4), begun("c", 1), begun("d", 5)}
	check("b began anew, and keeps its series when a comes", connections("", "other", "106"), connections("default", "b", "14"), works)
	failure = errors.New("the kernel is busy")
	check("the kernel can not be read", connections("", "other", "106"), connections("default", "b", "14"), failed)
	failure = nil
	read = []ServiceTraffic{begun("c", 1), begun("d", 6)}
	check("c takes the place of b, and others do not shrink", connections("", "other", "107"), connections("default", "c", "0"), failed)

	trackedBytes := func(namespace, service, n string) string {
		return `switchyard_node_service_tracked_bytes{ip_family="IPv4",namespace="` + namespace + `",service="` + service + `"} ` + n
	}
	tracked := func(name string, begins, bytes uint64) ServiceTraffic {
		one := begun(name, begins)
		one.Counted, one.Tracked = true, Tracked{Connections: 1, Packets: 3, Bytes: bytes}
		return one
	}
	read = []ServiceTraffic{tracked("c", 1, 300), tracked("d", 6, 10), tracked("e", 0, 20)}
	check("conntrack counts", connections("", "other", "107"), connections("default", "c", "0"),
		trackedBytes("", "other", "30"), trackedBytes("default", "c", "300"), failed)
	read = []ServiceTraffic{tracked("c", 1, 200), tracked("d", 6, 5)}
	check("connections have ended", connections("", "other", "107"), connections("default", "c", "0"),
		trackedBytes("", "other", "5"), trackedBytes("default", "c", "200"), failed)
	failure = errors.New("the kernel is busy again")
	check("what is tracked is not known", connections("", "other", "107"), connections("default", "c", "0"),
		"switchyard_node_service_traffic_failures_total 2")
	if got := values(t, metrics, "switchyard_node_service_tracked_.*"); got != nil {
		t.Errorf("what is tracked is not known: %q", got)
	}
}

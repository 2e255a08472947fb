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

package agent

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	gocmp "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

type fakeCounter map[ruleset.Frontend]uint64

func (f fakeCounter) Connections(context.Context) (map[ruleset.Frontend]uint64, error) { return f, nil }

func TestTrafficIsAddedUpOverTheWaysIntoAService(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.Node = NodeOptions{NodePorts: NodePortAddresses{Primary: true}}
		w.setNode(ctx, nodeInZone("a"))
		web := makeService("web", "10.96.0.1", 80, tcp)
		web.Spec.ExternalIPs = []string{"198.51.100.1"}
		w.setService(ctx, web)
		w.setService(ctx, makeService("idle", "10.96.0.2", 81, tcp))
		w.begin(ctx)
		synctest.Wait()
		to := func(text string) conntrack.Destination {
			return conntrack.Destination{Protocol: model.TCP, Addr: netip.MustParseAddrPort(text)}
		}
		reader := Traffic{
			Agent: w.Agent,
			Counters: map[model.Family]Counter{model.IPv4: fakeCounter{
				ruleset.Frontend(to("10.96.0.1:80")): 1, ruleset.Frontend(to("198.51.100.1:80")): 2, ruleset.Frontend(to("172.18.0.2:30080")): 4,
				ruleset.Frontend(to("10.96.0.9:80")): 99, // nobody's any more
			}},
			Tracked: func(_ context.Context, asked []conntrack.Destination) (conntrack.Usages, error) {
				if len(asked) != 5 {
					t.Errorf("asked for %v", asked)
				}
				return conntrack.Usages{Counted: true, ByDestination: map[conntrack.Destination]conntrack.Usage{
					to("10.96.0.1:80"): {Connections: 1, Packets: 10, Bytes: 100}, to("172.18.0.2:30080"): {Connections: 2, Packets: 20, Bytes: 200},
				}}, nil
			},
		}
		got, err := reader.ReadTraffic(ctx)
		mustDo(t, err)
		slices.SortFunc(got, func(a, b health.ServiceTraffic) int { return cmp.Compare(a.Service.Name, b.Service.Name) })
		want := []health.ServiceTraffic{
			{Service: types.NamespacedName{Namespace: "default", Name: "idle"}, Family: model.IPv4, Counted: true},
			{
				Service: types.NamespacedName{Namespace: "default", Name: "web"}, Family: model.IPv4, Counted: true,
				Begun: 7, Tracked: health.Tracked{Connections: 3, Packets: 30, Bytes: 300},
			},
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("traffic (-want +got):\n%s", diff)
		}
	})
}

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
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// idleWatcher hears of no foreign change.
type idleWatcher struct{}

func (idleWatcher) Run(ctx context.Context, _ func(model.Family)) error {
	<-ctx.Done()
	return ctx.Err()
}

// announcingTable says when it is written.
type announcingTable struct {
	*fakeTable
	written chan int
}

func (a announcingTable) FullSync(ctx context.Context, node policy.Node, desired []policy.Decision) (nft.Result, error) {
	a.written <- len(desired)
	return a.fakeTable.FullSync(ctx, node, desired)
}

// One list that the API server does not give is enough to write nothing: a
// cluster that is known in part looks like one whose Services have gone.
func TestTheStartWaitsForEachOfTheLists(t *testing.T) {
	for resource, before := range map[string]int32{
		"services":       1, // the list that says whether the API server answers
		"endpointslices": 0,
		"nodes":          0,
		"servicecidrs":   0,
	} {
		t.Run(resource, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				client := fake.NewClientset(makeService("web", "10.96.0.1", 80, tcp), makeSlice("web", 8080, tcp, "10.0.0.1"), nodeInZone("a"))
				var answers atomic.Int32
				answers.Store(before)
				client.PrependReactor("list", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
					if answers.Add(-1) >= 0 {
						return false, nil, nil
					}
					// Any other error makes client-go sleep until the time of the
					// last one in this process, which is not that of the bubble.
					return true, nil, apierrors.NewResourceExpired("too old")
				})
				w := newWorld()
				w.Client, w.Watcher = client, idleWatcher{}
				table := announcingTable{w.v4, make(chan int, 1)}
				w.lanes[model.IPv4].table = table
				ended := make(chan error)
				go func() { ended <- w.Run(ctx) }()
				// From the first sync on the addresses are followed, with system
				// calls, for which the time of the bubble stands still.
				select {
				case services := <-table.written:
					t.Errorf("%d ServicePorts are written before there is the list", services)
				case <-time.After(time.Minute):
					answers.Store(1000)
					if services := <-table.written; services != 1 {
						t.Errorf("%d ServicePorts are written at first, want all", services)
					}
				}
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

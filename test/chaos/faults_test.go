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

package chaos

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl/nfnltest"
)

// faults are what the kernel answers once in a while, and where.
var faults = []struct {
	at    nfnltest.Point
	errno unix.Errno
}{
	{nfnltest.SendCommit, unix.ENOBUFS},
	{nfnltest.Commit, unix.EBUSY},
	{nfnltest.Commit, unix.ENOMEM},
	{nfnltest.Commit, unix.EINTR},
	{nfnltest.Outcome, unix.ENOBUFS},
	{nfnltest.Outcome, unix.EINTR},
	{nfnltest.Dump, unix.EBUSY},
	{nfnltest.Dump, unix.EINTR},
	{nfnltest.DumpChanged, unix.EINTR},
}

func TestAKernelThatFailsNowAndThenLosesNothing(t *testing.T) {
	b := newBed(t)
	var injected nfnltest.Faults
	stop := b.runAgent(&injected)
	count := 0
	toll := b.under(func() {
		f := faults[rand.IntN(len(faults))]
		// One is got over by trying again, many in a row are a failed change.
		times := []int{1, 20}[rand.IntN(2)]
		injected.Add(f.at, f.errno, times)
		count += times
		pause(100 * time.Millisecond)
	})
	b.nothingLost(toll)
	stop()
	met := count - injected.Left()
	if b.Logf("%d failures met", met); met == 0 {
		b.Error("nothing failed")
	}
	b.startAgent(unprotected)
	b.settled(unprotected)
}

// runAgent runs an agent in this process, with tables that may fail.
func (b *bed) runAgent(injected *nfnltest.Faults) (stop func()) {
	b.Helper()
	state := health.NewState(health.Patience, model.IPv4, model.IPv6)
	config := agent.Config{
		NodeName: nodeName, Client: b.client, Recorder: record.NewFakeRecorder(1000), Announcer: silent{},
		Tables: map[model.Family]agent.Table{}, Sweepers: map[model.Family]agent.Sweeper{}, Checks: health.NewServiceChecks(state), State: state, Metrics: health.NewMetrics("chaos"),
		Node: agent.NodeOptions{NodePorts: agent.NodePortAddresses{Primary: true}, DetectLocal: agent.DetectLocal{FromNode: true}},
	}
	b.in(b.node, func() (err error) {
		var tables []*nft.Table
		for _, family := range []model.Family{model.IPv4, model.IPv6} {
			cleaner, err := conntrack.NewCleaner()
			if err != nil {
				return err
			}
			sweeper := conntrack.NewSweeper(cleaner, nil)
			go sweeper.Run(b.Context())
			config.Sweepers[family] = sweeper
			table, err := nft.Open(family, nft.Options{Dial: injected.Dial, Sweeper: sweeper})
			if err != nil {
				return err
			}
			b.Cleanup(func() { _ = table.Close() })
			config.Tables[family] = table
			tables = append(tables, table)
		}
		config.Watcher, err = nft.Watch(tables...)
		return err
	})
	ctx, cancel := context.WithCancel(log.IntoContext(b.Context(), logr.Discard()))
	done := make(chan error, 1)
	go func() { done <- agent.New(config).Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(stop)
	b.await("the first sync", state.Ready)
	return stop
}

// silent announces nothing.
type silent struct{}

func (silent) Announce(*corev1.ObjectReference, string, string) {}

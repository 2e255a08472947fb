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

package controllers

import (
	"context"
	"errors"
	"net/http"

	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// A refusal takes nothing away that works. A new replica that would refuse is not
// ready: the rollout that brought it stops, and the replicas before it go on
// serving webhooks. One that was ready and now becomes the leader stays ready, as
// the other controller does the work. None of them ends; as soon as nobody else
// is at work the controllers start.

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica looks.
func (g *WriterGuard) NeedLeaderElection() bool { return false }

// Start looks until nobody else is at work.
func (g *WriterGuard) Start(ctx context.Context) error {
	if g.agree(ctx) == nil { // else it ends with the context, which is no error
		close(g.ready)
	}
	return nil
}

// watch looks again from time to time, and logs what would keep a new replica from
// being ready now. As that reads all objects, one replica does it for all.
func (g *WriterGuard) watch(ctx context.Context) {
	_ = wait.PollUntilContextCancel(ctx, g.period, false, func(ctx context.Context) (bool, error) {
		live, err := g.look(ctx)
		switch {
		case err != nil:
			ctrl.LoggerFrom(ctx).Error(err, "Looking for other endpoint controllers")
		case live != nil:
			ctrl.LoggerFrom(ctx).Error(g.refusal(live), "Another endpoint controller has begun to work")
		}
		return false, nil
	})
}

// ReadyCheck implements healthz.Checker: nil once nobody else was at work.
func (g *WriterGuard) ReadyCheck(*http.Request) error {
	select {
	case <-g.ready:
		return nil
	default:
	}
	if against := g.against.Load(); against != nil {
		return *against
	}
	return errors.New("looking for other endpoint controllers")
}

// agree waits until nobody else is at work, and says why it waits.
func (g *WriterGuard) agree(ctx context.Context) error {
	return wait.PollUntilContextCancel(ctx, g.retry, true, func(ctx context.Context) (bool, error) {
		err := g.Check(ctx)
		if err != nil && ctx.Err() == nil {
			g.against.Store(&err)
			ctrl.LoggerFrom(ctx).Error(err, "The endpoint controllers do not start yet", "retryAfter", g.retry.String())
		}
		return err == nil, nil
	})
}

// leaderLook is the guard's second look, in the replica that leads.
type leaderLook struct{ *WriterGuard }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (l leaderLook) NeedLeaderElection() bool { return true }

// Start opens the gate once this replica is ready and nobody else is at work now:
// it may have been ready for a long time. Then it watches.
func (l leaderLook) Start(ctx context.Context) error {
	if await(ctx, l.ready) && l.agree(ctx) == nil {
		close(l.open)
		l.watch(ctx)
	}
	return nil
}

// await reports whether the channel was closed before the context ended.
func await(ctx context.Context, closed <-chan struct{}) bool {
	select {
	case <-closed:
		return true
	case <-ctx.Done():
		return false
	}
}

// guardedManager starts what is added to it when the gate is open.
type guardedManager struct {
	ctrl.Manager
	guard *WriterGuard
}

func (m guardedManager) Add(runnable manager.Runnable) error {
	return m.Manager.Add(guarded{runnable, m.guard})
}

type guarded struct {
	manager.Runnable
	guard *WriterGuard
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (g guarded) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (g guarded) Start(ctx context.Context) error {
	if !await(ctx, g.guard.open) {
		return nil // It ends with the context, which is no error.
	}
	return g.Runnable.Start(ctx)
}

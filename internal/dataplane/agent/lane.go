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
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// decider answers what is wanted now.
type decider interface {
	decide(family model.Family, name model.ServicePortName) (policy.Decision, bool)
	decideAll(family model.Family) []policy.Decision
}

// lane brings one family's table up to date. Families do not wait for each
// other: what one kernel table refuses must not hold back the other.
type lane struct {
	family  model.Family
	decider decider
	table   Table
	cleaner Cleaner
	state   *health.State
	metrics *health.Metrics

	queue queue

	// The rest belongs to the goroutine in run.

	// node and held are what the table was last told with success.
	node policy.Node
	held map[model.ServicePortName]policy.Decision
	// endpoints counts those in held.
	endpoints int
	// uncleaned are stale flows that could not be deleted yet, at most one entry
	// for each destination. A flow that finds its endpoint again meanwhile is
	// deleted all the same and starts anew.
	uncleaned []policy.Stale
}

// run syncs whenever there is something to sync, until ctx ends. Whatever
// piles up during one sync is one transaction of the next.
func (l *lane) run(ctx context.Context) {
	log := log.FromContext(ctx).WithValues("family", l.family.String())
	ctx = logr.NewContext(ctx, log)
	backoff := newBackoff()
	for l.queue.wait(ctx) {
		if err := l.sync(ctx); err != nil && ctx.Err() == nil {
			delay := backoff.Step()
			log.Error(err, "Could not bring the kernel up to date, will try again", "after", delay.String())
			l.queue.again()
			sleep(ctx, delay)
			continue
		}
		backoff = newBackoff()
	}
}

func newBackoff() wait.Backoff {
	return wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.1, Steps: 32, Cap: 10 * time.Second}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// sync does everything that is queued.
func (l *lane) sync(ctx context.Context) error {
	work := l.queue.take()
	if work.empty() {
		return l.clean(ctx)
	}
	begin := time.Now()
	change, err := l.write(ctx, work)
	l.metrics.Synced(health.Sync{
		Family: l.family, Duration: time.Since(begin), Cause: work.cause, Err: err,
		ServicePorts: len(l.held), Endpoints: l.endpoints, Triggers: work.triggers,
	})
	if err != nil {
		l.queue.giveBack(work)
		l.state.Queued(l.family)
		return err
	}
	l.state.Updated(l.family)
	l.uncleaned = supersede(l.uncleaned, change)
	return l.clean(ctx)
}

// supersede drops from pending what is about a destination of newer, too: of
// one destination, only the endpoints of now may keep their flows.
func supersede(pending, newer []policy.Stale) []policy.Stale {
	type destination struct {
		protocol model.Protocol
		dst      netip.AddrPort
	}
	renewed := make(map[destination]bool, len(newer))
	for _, s := range newer {
		renewed[destination{s.Protocol, s.Dst}] = true
	}
	pending = slices.DeleteFunc(pending, func(s policy.Stale) bool { return renewed[destination{s.Protocol, s.Dst}] })
	return append(pending, newer...)
}

// write brings the table to what is wanted and says which flows that makes
// stale.
func (l *lane) write(ctx context.Context, work work) ([]policy.Stale, error) {
	if work.cause != "" {
		return l.full(ctx, work)
	}
	return l.partial(ctx, work)
}

func (l *lane) full(ctx context.Context, work work) ([]policy.Stale, error) {
	desired := l.decider.decideAll(l.family)
	result, err := l.table.FullSync(ctx, work.node, desired)
	if err != nil {
		return nil, fmt.Errorf("programming all %d ServicePorts (%s): %w", len(desired), work.cause, err)
	}
	log.FromContext(ctx).Info("Compared everything with the kernel", "cause", work.cause, "servicePorts", len(desired), "result", result)
	l.node = work.node
	wanted := make(map[model.ServicePortName]policy.Decision, len(desired))
	for _, decision := range desired {
		wanted[decision.Name] = decision
	}
	gone := slices.DeleteFunc(slices.Collect(maps.Keys(l.held)), func(name model.ServicePortName) bool {
		_, stays := wanted[name]
		return stays
	})
	return l.hold(desired, gone), nil
}

func (l *lane) partial(ctx context.Context, work work) ([]policy.Stale, error) {
	changed, removed := l.compare(work.names)
	if len(changed)+len(removed) == 0 {
		return nil, nil
	}
	result, err := l.table.Apply(ctx, changed, removed)
	if err != nil {
		return nil, fmt.Errorf("programming %d changed and %d removed ServicePorts: %w", len(changed), len(removed), err)
	}
	log.FromContext(ctx).V(2).Info("Programmed", "changed", len(changed), "removed", len(removed), "result", result)
	return l.hold(changed, removed), nil
}

// compare finds what is really different from what the table holds.
func (l *lane) compare(names map[model.ServicePortName]struct{}) (changed []policy.Decision, removed []model.ServicePortName) {
	for _, name := range slices.SortedFunc(maps.Keys(names), model.ServicePortName.Compare) {
		decision, wanted := l.decider.decide(l.family, name)
		before, held := l.held[name]
		switch {
		case wanted && !(held && policy.Equal(before, decision)):
			changed = append(changed, decision)
		case held && !wanted:
			removed = append(removed, name)
		}
	}
	return changed, removed
}

// hold takes note of what the table has agreed to.
func (l *lane) hold(changed []policy.Decision, removed []model.ServicePortName) []policy.Stale {
	var stale []policy.Stale
	for _, after := range changed {
		before := l.held[after.Name]
		stale = append(stale, policy.StaleFlows(before, after)...)
		l.endpoints += len(after.Cluster) - len(before.Cluster)
		l.held[after.Name] = after
	}
	for _, name := range removed {
		before := l.held[name]
		stale = append(stale, policy.StaleFlows(before, policy.Decision{})...)
		l.endpoints -= len(before.Cluster)
		delete(l.held, name)
	}
	return stale
}

func (l *lane) clean(ctx context.Context) error {
	if len(l.uncleaned) == 0 {
		return nil
	}
	begin := time.Now()
	deleted, err := l.cleaner.Clean(ctx, flowsOf(l.uncleaned, l.node))
	l.metrics.Cleaned(l.family, time.Since(begin), deleted)
	if err != nil {
		return fmt.Errorf("deleting stale UDP flows: %w", err)
	}
	if deleted > 0 {
		log.FromContext(ctx).V(2).Info("Deleted stale UDP flows", "entries", deleted)
	}
	l.uncleaned = nil
	return nil
}

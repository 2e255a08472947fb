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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// decider answers what is wanted now.
type decider interface {
	// decide passes on what is wanted of each of names, all at one moment.
	decide(family model.Family, names []model.ServicePortName, each func(settled))
	decideAll(family model.Family) []policy.Decision
	// localHealth is what load balancers are told of a Service, checkAddresses
	// are where they may ask.
	localHealth(family model.Family, namespace, name string) (policy.HealthCheck, bool)
	checkAddresses(family model.Family) []netip.Addr
	// report tells the owners of objects what of them is not used.
	report(ctx context.Context, problems []model.Problem)
	// owner is what model.Store.Owner says.
	owner(addr netip.Addr, protocol model.Protocol, port uint16) (model.ServicePortName, bool)
	// object names a Service.
	object(service types.NamespacedName) model.Object
}

// settled is what is wanted of one ServicePort.
type settled struct {
	name     model.ServicePortName
	decision policy.Decision
	// wanted is false for one that is not to be in the table.
	wanted bool
	// half is true without endpoints, if that may be half of a rename.
	half bool
}

// lane brings one family's table up to date. Families do not wait for each
// other: what one kernel table refuses must not hold back the other.
type lane struct {
	family  model.Family
	decider decider
	table   Table
	sweeper Sweeper
	metrics *health.Metrics
	checks  *laneChecks
	queue   queue
	// features are those of table.
	features policy.Features

	// The rest belongs to the goroutine in run.

	// held is what the table was last told with success, nil before the first
	// time. The table keeps the same Decisions: a node holds those of the whole
	// cluster.
	held map[model.ServicePortName]*policy.Decision
	// nodePorts are the addresses that NodePorts answer on since.
	nodePorts []netip.Addr
	// tally counts what is in held.
	tally tally
	// starved are those of held that the table has no room for.
	starved []model.ServicePortName
	// renames are in the table as they were before.
	renames map[types.NamespacedName]*rename
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
		l.recheck(ctx)
		return nil
	}
	begin := time.Now()
	done, err := l.write(ctx, &work)
	if !work.empty() { // what is postponed was not programmed
		l.record(work, done, time.Since(begin), err)
	}
	if err != nil {
		l.queue.giveBack(work)
		return err
	}
	if len(done.stale) > 0 { // at once: a walk may be on
		l.sweeper.Add(conntrack.Sweep{Stale: l.flowsOf(done.stale)})
	}
	l.queue.done(work)
	l.check(ctx, work)
	return nil
}

// written is what one sync did.
type written struct {
	result nft.Result
	// stale are the flows that have nowhere to go since.
	stale []policy.Stale
}

func (l *lane) record(work work, done written, took time.Duration, err error) {
	var triggers []time.Time
	for _, trigger := range work.triggers {
		triggers = append(triggers, trigger.at)
	}
	l.metrics.Synced(health.Sync{
		Family: l.family, Duration: took, Cause: work.cause, Err: err,
		ServicePorts: len(l.held), Endpoints: l.tally.endpoints,
		NoLocalInternal: l.tally.noLocalInternal, NoLocalExternal: l.tally.noLocalExternal,
		Added: done.result.Added, Deleted: done.result.Deleted, Replaced: done.result.Replaced, Recreated: done.result.Recreated,
		Queued: work.since, Triggers: triggers,
	})
}

// write brings the table to what is wanted and leaves in work what it did.
func (l *lane) write(ctx context.Context, work *work) (written, error) {
	if work.cause != "" {
		return l.full(ctx, work)
	}
	return l.partial(ctx, work)
}

func (l *lane) full(ctx context.Context, work *work) (written, error) {
	desired := l.decider.decideAll(l.family)
	result, err := l.table.FullSync(ctx, work.node, desired)
	if err != nil {
		return written{result: result}, fmt.Errorf("programming all %d ServicePorts (%s): %w", len(desired), work.cause, err)
	}
	log.FromContext(ctx).Info("Compared everything with the kernel", "cause", work.cause, "servicePorts", len(desired), "result", result)
	l.reportStarved(ctx, result.Starved)
	l.nodePorts = work.node.NodePortsAt(l.features)
	l.resume(work, func(types.NamespacedName) bool { return true }) // nothing was left out
	wanted := make(map[model.ServicePortName]struct{}, len(desired))
	for _, decision := range desired {
		wanted[decision.Name] = struct{}{}
	}
	gone := slices.DeleteFunc(slices.Collect(maps.Keys(l.held)), func(name model.ServicePortName) bool {
		_, stays := wanted[name]
		return stays
	})
	return written{result, l.hold(desired, gone)}, nil
}

func (l *lane) partial(ctx context.Context, work *work) (written, error) {
	l.rejoin(work)
	c := l.postpone(work, l.compare(work.names))
	if len(c.changed)+len(c.removed) == 0 {
		return written{}, nil
	}
	result, err := l.table.Apply(ctx, c.changed, c.removed)
	if err != nil {
		return written{result: result}, fmt.Errorf("programming %d changed and %d removed ServicePorts: %w", len(c.changed), len(c.removed), err)
	}
	log.FromContext(ctx).V(2).Info("Programmed", "changed", len(c.changed), "removed", len(c.removed), "result", result)
	l.reportStarved(ctx, result.Starved)
	return written{result, l.hold(c.changed, c.removed)}, nil
}

// changes are what is different from what the table holds.
type changes struct {
	changed []policy.Decision
	removed []model.ServicePortName
	// half are the destinations of those in changed that are settled by half.
	half []destination
}

// compare finds what is really different from what the table holds.
func (l *lane) compare(names map[model.ServicePortName]struct{}) (c changes) {
	sorted := slices.SortedFunc(maps.Keys(names), model.ServicePortName.Compare)
	l.decider.decide(l.family, sorted, func(s settled) {
		before, held := l.held[s.name]
		switch {
		case s.wanted && !(held && policy.Equal(*before, s.decision)):
			c.changed = append(c.changed, s.decision)
			if s.half {
				c.half = append(c.half, destinationOf(&s.decision))
			}
		case held && !s.wanted:
			c.removed = append(c.removed, s.name)
		}
	})
	return c
}

// hold takes note of what the table has agreed to and finds the flows that
// makes stale. The first time no request waits that TCP or SCTP could amend.
func (l *lane) hold(changed []policy.Decision, removed []model.ServicePortName) []policy.Stale {
	var stale []policy.Stale
	first := l.held == nil
	if first {
		l.held = make(map[model.ServicePortName]*policy.Decision, len(changed))
	}
	for i := range changed {
		after := &changed[i]
		before := l.before(after.Name)
		if !first || after.Name.Protocol == model.UDP {
			stale = append(stale, policy.StaleFlows(*before, *after)...)
		}
		l.tally.count(before, -1)
		l.tally.count(after, 1)
		l.held[after.Name] = after
	}
	for _, name := range removed {
		before := l.before(name)
		stale = append(stale, policy.StaleFlows(*before, policy.Decision{})...)
		l.tally.count(before, -1)
		delete(l.held, name)
	}
	return stale
}

// before is what was held, the zero Decision for nothing.
func (l *lane) before(name model.ServicePortName) *policy.Decision {
	if held, ok := l.held[name]; ok {
		return held
	}
	return &policy.Decision{}
}

// tally counts Decisions, for metrics.
type tally struct{ endpoints, noLocalInternal, noLocalExternal int }

func (t *tally) count(d *policy.Decision, by int) {
	t.endpoints += by * len(d.Cluster)
	internal, external := d.WithoutLocal()
	if internal {
		t.noLocalInternal += by
	}
	if external {
		t.noLocalExternal += by
	}
}

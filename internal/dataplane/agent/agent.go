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
	"net/netip"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// Config is what an Agent works with. All of it is required.
type Config struct {
	// NodeName is the name of this node's Node object.
	NodeName string
	Client   kubernetes.Interface
	Recorder record.EventRecorder
	// Tables are the families to program.
	Tables  map[model.Family]Table
	Cleaner Cleaner
	Watcher Watcher
	Node    NodeOptions
	State   *health.State
	Metrics *health.Metrics
}

// Agent programs a node.
type Agent struct {
	Config
	started time.Time
	lanes   map[model.Family]*lane

	// localAddresses is the kernel's answer, replaced in tests.
	localAddresses func() ([]netip.Addr, error)

	mu    sync.Mutex
	store *model.Store
	facts nodeFacts
	// synced says that store is complete, so that what it says is a conflict is
	// one.
	synced bool
}

// New is an Agent that has not begun.
func New(config Config) *Agent {
	a := &Agent{
		Config: config, started: time.Now(), lanes: map[model.Family]*lane{},
		localAddresses: localAddresses, store: model.NewStore(model.Options{}),
	}
	for family, table := range config.Tables {
		a.lanes[family] = &lane{
			family: family, decider: a, table: table, cleaner: config.Cleaner,
			state: config.State, metrics: config.Metrics,
			queue: newQueue(policy.Node{Family: family}),
			held:  map[model.ServicePortName]policy.Decision{},
		}
	}
	return a
}

// Run programs the node until ctx ends and leaves the rules in place. It
// returns an error only if it can not begin.
func (a *Agent) Run(ctx context.Context) error {
	if err := a.readAddresses(); err != nil {
		return err
	}
	if !a.awaitServer(ctx) || !a.watch(ctx) {
		return nil
	}
	a.begin(ctx)
	var running sync.WaitGroup
	for _, lane := range a.lanes {
		running.Go(func() { lane.run(ctx) })
	}
	running.Go(func() { watchAddresses(ctx, func() { a.refreshAddresses(ctx) }) })
	running.Go(func() { a.repairForeignChanges(ctx) })
	running.Wait()
	return nil
}

// repairForeignChanges undoes what others do to our tables, as soon as it is
// noticed. Should the kernel stop telling, the next failed change still brings
// everything in order.
func (a *Agent) repairForeignChanges(ctx context.Context) {
	if err := a.Watcher.Run(ctx, a.repair); err != nil && ctx.Err() == nil {
		log.FromContext(ctx).Error(err, "Changes that others make to our tables will not be noticed any more; restart the agent")
	}
}

// begin queues the first full sync, now that everything there is has been read.
func (a *Agent) begin(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.synced = true
	a.store.TakeDirty()
	a.report(ctx, a.store.TakeProblems())
	a.State.SetEligible(eligible(a.facts.object))
	for family, lane := range a.lanes {
		a.State.Queued(family)
		lane.queue.setNode(nodeOf(family, a.Node, a.facts), false)
		lane.queue.addFull("start")
	}
}

// repair compares everything with the kernel, because someone else may have
// changed the family's table.
func (a *Agent) repair(family model.Family) {
	if lane := a.lanes[family]; lane != nil {
		a.State.Queued(family)
		lane.queue.addFull("repair")
	}
}

// change applies fn to the store and queues what it makes dirty, with the time
// of its cause for the family that it concerns.
func (a *Agent) change(ctx context.Context, fn func(*model.Store), trigger time.Time, concerned model.Family) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fn(a.store)
	if !a.synced {
		return
	}
	a.report(ctx, a.store.TakeProblems())
	names := a.store.TakeDirty()
	if len(names) == 0 {
		return
	}
	for family, lane := range a.lanes {
		a.State.Queued(family)
		a.Metrics.Queued(family)
		if family == concerned && !trigger.IsZero() {
			lane.queue.add(names, trigger)
		} else {
			lane.queue.add(names)
		}
	}
}

// setNode takes the Node object as it is now.
func (a *Agent) setNode(ctx context.Context, node *corev1.Node) {
	a.State.SetEligible(eligible(node))
	a.changeFacts(ctx, func(facts *nodeFacts) { facts.object = node })
}

// deleteNode takes the node out of the load balancers. Its addresses stay known:
// without a Node object it still is the machine that it was.
func (a *Agent) deleteNode() { a.State.SetEligible(false) }

func (a *Agent) refreshAddresses(ctx context.Context) {
	if err := a.readAddresses(); err != nil {
		log.FromContext(ctx).Error(err, "Keeping the addresses known so far")
	}
}

func (a *Agent) readAddresses() error {
	local, err := a.localAddresses()
	if err != nil {
		return err
	}
	a.changeFacts(context.Background(), func(facts *nodeFacts) { facts.local = local })
	return nil
}

// changeFacts applies fn to what is known of the node and queues a full sync
// for each family to which that makes a difference.
func (a *Agent) changeFacts(ctx context.Context, fn func(*nodeFacts)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.facts
	fn(&a.facts)
	if !a.synced {
		return
	}
	for family, lane := range a.lanes {
		node := nodeOf(family, a.Node, a.facts)
		if reflect.DeepEqual(nodeOf(family, a.Node, before), node) {
			continue
		}
		log.FromContext(ctx).Info("The node has changed", "family", family.String(),
			"nodePortAddresses", fmt.Sprint(node.NodePortAddrs), "localPods", fmt.Sprint(node.LocalPods))
		a.State.Queued(family)
		lane.queue.setNode(node, true)
	}
}

func (a *Agent) decide(family model.Family, name model.ServicePortName) (policy.Decision, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.decideLocked(family, name)
}

func (a *Agent) decideAll(family model.Family) []policy.Decision {
	a.mu.Lock()
	defer a.mu.Unlock()
	var decisions []policy.Decision
	for _, name := range a.store.Names() {
		if decision, ok := a.decideLocked(family, name); ok {
			decisions = append(decisions, decision)
		}
	}
	return decisions
}

func (a *Agent) decideLocked(family model.Family, name model.ServicePortName) (policy.Decision, bool) {
	port, ok := a.store.ServicePort(name)
	if !ok {
		return policy.Decision{}, false
	}
	return policy.Decide(port, a.store.Endpoints(name, family), family, policy.Place{NodeName: a.NodeName})
}

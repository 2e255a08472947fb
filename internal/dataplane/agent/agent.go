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
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// Config is what an Agent works with. All of it is required but for Features,
// Store, WithoutExternalIPs and Changed.
type Config struct {
	// NodeName is the name of this node's Node object.
	NodeName string
	Client   kubernetes.Interface
	// Recorder makes Events about this node and what happens on it.
	Recorder record.EventRecorder
	// Announcer makes Events that are the same on every node.
	Announcer Announcer
	// Tables are the families to program.
	Tables map[model.Family]Table
	// Sweepers clean up after the families.
	Sweepers map[model.Family]Sweeper
	Watcher  Watcher
	Checks   Checks
	Node     NodeOptions
	// Features are those that Tables were made with.
	Features policy.Features
	State    *health.State
	Metrics  *health.Metrics
	// Store says which Services are ours.
	Store model.Options
	// WithoutExternalIPs leaves spec.externalIPs out (KEP-5707).
	WithoutExternalIPs bool
	// Changed, if set, is told which ServicePorts may have changed, all of them once
	// everything has been read. It does not block and asks nothing of the Agent.
	Changed func([]model.ServicePortName)
}

// Agent programs a node.
type Agent struct {
	Config
	lanes    map[model.Family]*lane
	triggers *triggers

	// localAddresses is the kernel's answer, replaced in tests.
	localAddresses func() ([]netip.Addr, error)

	mu    sync.Mutex
	store *model.Store
	facts Facts
	// place follows from facts.
	place policy.Place
	// checkAddrs are what Facts.CheckAddrs says of each family.
	checkAddrs map[model.Family][]netip.Addr
	// synced says that store is complete, so that what it says is a conflict is
	// one.
	synced bool
}

// New is an Agent that has not begun.
func New(config Config) *Agent {
	a := &Agent{
		Config: config, lanes: map[model.Family]*lane{}, triggers: newTriggers(time.Now()),
		localAddresses: localAddresses, store: model.NewStore(config.Store), place: policy.Place{NodeName: config.NodeName},
		checkAddrs: map[model.Family][]netip.Addr{},
	}
	for family, table := range config.Tables {
		a.lanes[family] = &lane{
			family: family, decider: a, table: table, sweeper: config.Sweepers[family], features: config.Features,
			metrics: config.Metrics, checks: newLaneChecks(family, config),
			queue: newQueue(family, config.State, config.Metrics),
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
	running.Go(func() { _ = a.Watcher.Run(ctx, a.repair) }) // ends with ctx only
	running.Wait()
	return nil
}

// begin queues the first full sync, now that everything there is has been read.
func (a *Agent) begin(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.synced = true
	a.facts.VIPs = a.heldVIPs()
	a.store.TakeDirty()
	a.report(ctx, a.store.TakeProblems())
	a.tell(a.store.Names())
	if a.facts.Node == nil {
		a.State.SetEligible(false) // not registered yet
	}
	for family, lane := range a.lanes {
		lane.queue.setNode(a.facts.Shape(family, a.Node), false)
		lane.queue.addFull("start")
	}
}

// repair compares everything with the kernel, because someone else may have
// changed the family's table.
func (a *Agent) repair(family model.Family) {
	if lane := a.lanes[family]; lane != nil {
		lane.queue.addFull("repair")
	}
}

// change applies fn to the store and queues what it makes dirty.
func (a *Agent) change(ctx context.Context, fn func(*model.Store), e event) {
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
	a.tell(names)
	for _, lane := range a.lanes {
		lane.queue.add(names, e)
	}
	if !slices.Equal(a.heldVIPs(), a.facts.VIPs) {
		a.learn(ctx, func(*Facts) {})
	}
}

// heldVIPs are the node's own addresses that are VIPs of Services as well. It
// is asked for each change: a machine has few addresses.
func (a *Agent) heldVIPs() []netip.Addr {
	var held []netip.Addr
	for _, addr := range a.facts.Local {
		if a.store.IsVIP(addr) {
			held = append(held, addr)
		}
	}
	return held
}

// setNode takes the Node object as it is now.
func (a *Agent) setNode(ctx context.Context, node *corev1.Node) {
	a.State.SetEligible(eligible(node))
	node = trimNode(node)
	a.changeFacts(ctx, func(facts *Facts) { facts.Node = node })
}

// deleteNode takes the node out of the load balancers. Its addresses stay known:
// without a Node object it still is the machine that it was.
func (a *Agent) deleteNode() { a.State.SetEligible(false) }

// SetNodeOptions takes other settings, at once.
func (a *Agent) SetNodeOptions(ctx context.Context, options NodeOptions) {
	a.changeFacts(ctx, func(*Facts) { a.Node = options })
}

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
	a.changeFacts(context.Background(), func(facts *Facts) { facts.Local = local })
	return nil
}

// changeFacts applies fn, under the lock, to what is known of the node, and
// queues what that makes a difference to: everything for a family whose own
// elements change, else the decisions. Those are all taken again, which costs
// no look at the kernel; only the ones that come out different are written.
func (a *Agent) changeFacts(ctx context.Context, fn func(*Facts)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.learn(ctx, fn)
}

// learn is changeFacts for who has the lock.
func (a *Agent) learn(ctx context.Context, fn func(*Facts)) {
	before := map[model.Family]policy.Node{}
	for family := range a.lanes {
		before[family] = a.facts.Shape(family, a.Node)
	}
	fn(&a.facts)
	a.facts.VIPs = a.heldVIPs()
	place := a.facts.Place(a.NodeName, a.Node)
	moved := !a.place.Equal(place)
	a.place = place
	for family := range a.lanes {
		a.checkAddrs[family] = a.facts.CheckAddrs(family, a.Node)
	}
	if !a.synced {
		return
	}
	for family, lane := range a.lanes {
		node := a.facts.Shape(family, a.Node)
		switch {
		case !reflect.DeepEqual(before[family], node):
			log.FromContext(ctx).Info("The node has changed", "family", family.String(), "nodePortAddresses", fmt.Sprint(node.NodePortAddrs),
				"localPods", fmt.Sprint(node.LocalPods), "serviceCIDRs", fmt.Sprint(node.ServiceCIDRs))
			lane.queue.setNode(node, true)
		case moved:
			log.FromContext(ctx).V(2).Info("The node's zone or addresses have changed, deciding anew", "family", family.String(), "zone", place.Zone)
			lane.queue.add(a.store.Names(), event{})
		default:
			lane.queue.again() // its health checks may be on other addresses
		}
	}
}

// decide holds the lock until all is settled: what one ServicePort loses in a
// change, another may gain.
func (a *Agent) decide(family model.Family, names []model.ServicePortName, each func(settled)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	decider := policy.Decider{Store: a.store, Family: family, Place: a.place}
	for _, name := range names {
		decision, wanted := decider.Decide(name)
		half := wanted && len(decision.Cluster) == 0 && a.store.HalfRenamed(name, family)
		each(settled{name, decision, wanted, half})
	}
}

func (a *Agent) decideAll(family model.Family) []policy.Decision {
	a.mu.Lock()
	defer a.mu.Unlock()
	return policy.DecideAll(a.store, family, a.place)
}

func (a *Agent) localHealth(family model.Family, namespace, name string) (policy.HealthCheck, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return policy.LocalHealth(a.store, namespace, name, family, a.place)
}

func (a *Agent) checkAddresses(family model.Family) []netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.checkAddrs[family]
}

func (a *Agent) owner(addr netip.Addr, protocol model.Protocol, port uint16) (model.ServicePortName, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.store.Owner(addr, protocol, port)
}

func (a *Agent) object(service types.NamespacedName) model.Object {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.store.ServiceObject(service.Namespace, service.Name)
}

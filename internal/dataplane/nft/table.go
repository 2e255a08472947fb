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

package nft

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft/nfnl"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// Options are how a Table works. The zero value is good.
type Options struct {
	// ElementsPerTransaction bounds a transaction, because the kernel lets no
	// one else change any table meanwhile. 0 means 8192.
	ElementsPerTransaction int
	// Features shape the table; one of other features is replaced.
	Features policy.Features
	// Protect keeps everyone else from changing the table for as long as the
	// Table is open, where the kernel can do that (Linux 6.9, flags owner and
	// persist): `nft flush ruleset` passes it by, other changes are refused.
	Protect bool
	// Sweeper deletes conntrack entries in the background; nil means that
	// FullSync and Apply do so before they return.
	Sweeper *conntrack.Sweeper
	// Dial opens a connection to the kernel in the network namespace of the
	// calling thread; nil means nfnl.Dial.
	Dial func() (*nfnl.Conn, error)
}

// Result is what a FullSync or an Apply did.
type Result struct {
	// Added, Deleted and Replaced count elements.
	Added, Deleted, Replaced int
	Transactions             int
	// Recreated is true if the table was not there, or was not as this
	// version makes it, and so was written anew.
	Recreated bool
	// Untranslated counts conntrack entries deleted because they began before
	// their frontend was programmed, or lead to one that went while no agent
	// ran; 0 with a Sweeper.
	Untranslated int
	// Starved are all ServicePorts that the table has no room for, as of
	// ruleset.Plan.
	Starved  []model.ServicePortName
	Duration time.Duration
}

// syncAttempts bounds how often a FullSync begins again because someone else
// changed the table under it.
const syncAttempts = 3

// ErrNotSynced means that the Table does not know what the kernel holds:
// FullSync was never called, or the last change failed.
var ErrNotSynced = errors.New("what the kernel holds is not known, a full sync must come first")

// Table is our nftables table of one family, in the network namespace of the
// thread that opened it. It is safe for concurrent use.
type Table struct {
	mu      sync.Mutex
	schema  *ruleset.Schema
	limit   int
	flags   uint32
	conn    *nfnl.Conn
	writer  *writer
	cleaner *conntrack.Cleaner
	sweeper *conntrack.Sweeper
	planner ruleset.Planner
	synced  bool
	// untranslated are frontends that appeared and whose earlier conntrack
	// entries are not known to be deleted yet, gone those that disappeared.
	untranslated, gone map[conntrack.Destination]struct{}
	// compared is how long the last FullSync took, in nanoseconds.
	compared atomic.Int64
}

// Open connects to the kernel and makes sure that it can do what the ruleset
// needs. It changes nothing.
func Open(family model.Family, opts Options) (*Table, error) {
	if family != model.IPv4 && family != model.IPv6 {
		return nil, fmt.Errorf("nftables: %s is not an IP family", family)
	}
	if opts.ElementsPerTransaction <= 0 {
		opts.ElementsPerTransaction = 8192
	}
	schema := ruleset.NewSchema(family, opts.Features)
	t := &Table{
		schema: schema, limit: opts.ElementsPerTransaction,
		writer:       newWriter(schema),
		planner:      ruleset.Planner{Features: opts.Features},
		untranslated: map[conntrack.Destination]struct{}{}, gone: map[conntrack.Destination]struct{}{},
		sweeper: opts.Sweeper,
	}
	if opts.Dial == nil {
		opts.Dial = nfnl.Dial
	}
	var err error
	if t.conn, err = opts.Dial(); err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	if err := t.probe(opts); err != nil {
		_ = t.conn.Close()
		return nil, fmt.Errorf("nftables: %w", err)
	}
	if t.cleaner, err = conntrack.NewCleaner(); err != nil {
		_ = t.conn.Close()
		return nil, err
	}
	return t, nil
}

// probe makes sure that the kernel can do what is needed, and finds out whether
// it can do what would be good.
func (t *Table) probe(opts Options) error {
	if err := probe(t.conn, t.schema); err != nil || !opts.Protect {
		return err
	}
	protects, err := canProtect(t.conn, t.schema)
	if protects {
		t.flags = protection
	}
	return err
}

// Close leaves the table in the kernel, where it goes on forwarding.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.conn.Close(), t.cleaner.Close())
}

// FullSync lists the kernel, compares and writes the difference: start,
// restart and repair. A second call right after writes nothing. The Decisions
// are kept, as those of Apply are: they must not change any more.
func (t *Table) FullSync(ctx context.Context, node policy.Node, desired []policy.Decision) (Result, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	start := time.Now()
	var result Result
	var err error
	for range syncAttempts {
		if result, err = t.sync(ctx, node, desired); !overtaken(err) {
			break
		}
	}
	result.Duration = time.Since(start)
	t.compared.Store(int64(result.Duration))
	return result, t.named(err)
}

// overtaken is true for errors after which a new listing may do: the kernel held
// something else than was listed a moment before, or did not say what it holds.
func overtaken(err error) bool {
	return errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOENT) || errors.Is(err, nfnl.ErrUnknownOutcome)
}

// Apply changes only the named ServicePorts; a name in removed that is not
// held is no error. After an error only FullSync goes on.
func (t *Table) Apply(ctx context.Context, changed []policy.Decision, removed []model.ServicePortName) (Result, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.synced {
		return Result{}, t.named(ErrNotSynced)
	}
	start := time.Now()
	result, err := t.carryOut(ctx, t.planner.Apply(changed, removed))
	result.Duration = time.Since(start)
	return result, t.named(err)
}

func (t *Table) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("nftables %s: %w", t.schema.Family, lister{t.conn, t.schema}.explain(err))
}

func (t *Table) sync(ctx context.Context, node policy.Node, desired []policy.Decision) (Result, error) {
	t.synced = false
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	l := lister{t.conn, t.schema}
	found, err := l.table()
	if err != nil {
		return Result{}, err
	}
	if err := l.checkOwner(found); err != nil {
		return Result{}, err
	}
	ours := found.declared && t.usable(found.flags)
	if ours {
		if ours, err = l.matchesSchema(); err != nil {
			return Result{}, err
		}
	}
	var result Result
	switch {
	case !found.exists:
		result, err = t.create(ctx, node, desired, inNoPlace)
	case !ours:
		result, err = t.replace(ctx, &found, node, desired)
	default:
		result, err = t.adopt(ctx, found, node, desired)
	}
	if err == nil && found.standIn {
		err = t.dismissStandIn(&result)
	}
	return result, err
}

// adopt goes on with the table that is there.
func (t *Table) adopt(ctx context.Context, found tableState, node policy.Node, desired []policy.Decision) (Result, error) {
	if t.orphaned(found.flags) {
		if err := t.takeOver(); err != nil {
			return Result{}, err
		}
	}
	held, err := lister{t.conn, t.schema}.elements()
	if err != nil {
		return Result{}, err
	}
	return t.carryOut(ctx, t.planner.Sync(node, desired, held))
}

// servicePortsAtOnce is how many ServicePorts of a new table are planned
// together. With ten endpoints each they fill one transaction.
const servicePortsAtOnce = 512

// place is where a table is written.
type place int

const (
	inNoPlace     place = iota // there is none
	inPlace                    // of one that no packet needs any more
	beforeStandIn              // of such a one, while a stand-in serves
)

// create writes a table.
func (t *Table) create(ctx context.Context, node policy.Node, desired []policy.Decision, where place) (Result, error) {
	result := Result{Recreated: true}
	prolonged, err := t.write(ctx, node, desired, where, &result)
	if err != nil {
		return result, err
	}
	t.tellProlonged(ctx, prolonged)
	return result, t.finish(ctx, &result)
}

// write writes a table. All ServicePorts in one plan would be a good part of an
// agent's memory, and the first would wait for the last. Where a stand-in serves they
// do: a table whose hooks have rules is complete then, and one that is not is known by
// its empty hooks to whoever goes on with it.
// It returns the ServicePorts whose clients stay longer than asked.
func (t *Table) write(
	ctx context.Context, node policy.Node, desired []policy.Decision, where place, result *Result,
) (prolonged []model.ServicePortName, err error) {
	if err := t.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &t.emptyTable(where).Messages); err != nil {
		return nil, err
	}
	result.Transactions++
	if err := t.commit(ctx, t.planner.Sync(node, nil, nil), result); err != nil {
		return nil, err
	}
	for some := range slices.Chunk(desired, servicePortsAtOnce) {
		plan := t.planner.Apply(some, nil)
		prolonged = append(prolonged, plan.Prolonged...)
		if err := t.commit(ctx, plan, result); err != nil {
			return nil, err
		}
	}
	if where != beforeStandIn {
		return prolonged, nil
	}
	w := newWriter(t.schema)
	w.fillHooks()
	result.Transactions++
	return prolonged, t.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &w.Messages)
}

// emptyTable writes a new table, after the removal of the one that is there.
func (t *Table) emptyTable(where place) *writer {
	w := newWriter(t.schema)
	w.flags = t.flags
	if where != inNoPlace {
		w.removeTable()
	}
	w.createTable(where == beforeStandIn)
	return w
}

// note remembers frontends before they are committed: should the commit or what
// follows fail half-way, the next full sync finds nothing that appears.
func (t *Table) note(plan ruleset.Plan) {
	for _, f := range plan.Appeared {
		t.untranslated[conntrack.Destination(f)] = struct{}{}
		delete(t.gone, conntrack.Destination(f))
	}
	for _, f := range plan.Disappeared {
		t.gone[conntrack.Destination(f)] = struct{}{}
	}
}

// clean deletes the conntrack entries of what was noted, or has it done.
func (t *Table) clean(ctx context.Context) (deleted int, err error) {
	what := conntrack.Sweep{Untranslated: slices.Collect(maps.Keys(t.untranslated))}
	for d := range t.gone {
		what.Stale = append(what.Stale, conntrack.Stale{Protocol: d.Protocol, Addrs: []netip.Addr{d.Addr.Addr()}, Port: d.Addr.Port()})
	}
	if t.sweeper != nil {
		t.sweeper.Add(what)
	} else if deleted, err = t.cleaner.Sweep(ctx, what); err != nil {
		return deleted, err
	}
	clear(t.untranslated)
	clear(t.gone)
	return deleted, nil
}

// carryOut commits a plan and cleans up behind it.
func (t *Table) carryOut(ctx context.Context, plan ruleset.Plan) (result Result, err error) {
	t.synced = false
	t.tellProlonged(ctx, plan.Prolonged)
	if err := t.commit(ctx, plan, &result); err != nil {
		return result, err
	}
	return result, t.finish(ctx, &result)
}

func (t *Table) tellProlonged(ctx context.Context, names []model.ServicePortName) {
	if len(names) > 0 {
		log.FromContext(ctx).Info("More different affinity timeouts are in use than fit into the table, clients of some Services stay longer than asked",
			"family", t.schema.Family.String(), "servicePorts", names)
	}
}

// finish is what follows the last commit.
func (t *Table) finish(ctx context.Context, result *Result) (err error) {
	t.synced = true
	result.Untranslated, err = t.clean(ctx)
	return err
}

// commit carries a plan out in as many transactions as it takes.
func (t *Table) commit(ctx context.Context, plan ruleset.Plan, result *Result) error {
	t.note(plan)
	result.Starved = plan.Starved
	w := t.writer
	for edits := plan.Edits; len(edits) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := t.transaction(w, edits)
		edits = edits[len(part):]
		if err := t.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &w.Messages); err != nil {
			return err
		}
		result.Transactions++
		result.count(part)
	}
	return nil
}

// transaction writes the first of edits, as many as may and can be sent at once.
func (t *Table) transaction(w *writer, edits []ruleset.Edit) (part []ruleset.Edit) {
	edits = edits[:min(len(edits), t.limit)]
	for n := len(behindRanges(beforeDeletedChains(edits))); ; n /= 2 {
		w.Reset()
		w.all(edits[:n])
		if n == 1 || w.Size() <= t.conn.MaxTransaction() {
			return edits[:n]
		}
	}
}

// beforeDeletedChains cuts a plan so that chains are deleted in a transaction
// of their own: until Linux 6.2 one counts the references to a chain that it
// deletes itself.
func beforeDeletedChains(edits []ruleset.Edit) []ruleset.Edit {
	at := slices.IndexFunc(edits, func(e ruleset.Edit) bool { return e.Set == ruleset.StickyChains && e.Operation == ruleset.Delete })
	if at > 0 {
		return edits[:at]
	}
	return edits
}

// behindRanges cuts a plan so that source ranges are added before what leads to
// them: in one transaction, the kernel shows such a set's elements a moment after
// those of other sets, and a client in range would be dropped.
func behindRanges(edits []ruleset.Edit) []ruleset.Edit {
	added := false
	for i, e := range edits {
		ranges := ruleset.IsSourceRanges(e.Set)
		if added && !ranges {
			return edits[:i]
		}
		added = added || ranges && e.Operation != ruleset.Delete
	}
	return edits
}

func (r *Result) count(edits []ruleset.Edit) {
	for _, e := range edits {
		switch e.Operation {
		case ruleset.Add:
			r.Added++
		case ruleset.Delete:
			r.Deleted++
		case ruleset.Replace:
			r.Replaced++
		}
	}
}

// all writes edits in their order, neighbours of one kind together.
func (w *writer) all(edits []ruleset.Edit) {
	for len(edits) > 0 {
		n := 1
		for n < len(edits) && edits[n].Set == edits[0].Set && edits[n].Operation == edits[0].Operation {
			n++
		}
		w.edits(edits[:n])
		edits = edits[n:]
	}
}

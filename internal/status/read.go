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

package status

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/localcluster/control"
)

// Asker reads a cluster.
type Asker struct {
	Reader client.Reader
	Config *rest.Config
	// System is the namespace of the manager and the agents.
	System string
	// Look reads the numbers of Services.
	Look func() (*inventory.Index, error)
	// Tunnels lead to agents.
	Tunnels Tunnels
	Limits  Limits
	// Local are the processes of the local cluster; nil for another.
	Local *control.Status
	// ManagerPage is the port of the loopback where a local manager serves metrics
	// without TLS.
	ManagerPage int
	Now         func() time.Time
	// Settle is the time between two looks at what seems wrong.
	Settle time.Duration
}

// Ask reads everything at once. The error is that of a cluster of which nothing can
// be said.
func (a Asker) Ask(ctx context.Context) (*Facts, error) {
	a.Limits.Defaults()
	r := &reading{Asker: a, facts: &Facts{
		Server: a.Config.Host, System: a.System,
		Unknown: map[List]bool{}, Serving: map[string]time.Time{}, NotServing: map[string]error{},
	}}
	version, err := r.version(ctx)
	if err != nil {
		return nil, err
	}
	r.facts.Version = version
	var group errgroup.Group
	for _, read := range []func(context.Context) error{r.numbers, r.nodes, r.programs, r.webhooks, r.leader} {
		group.Go(func() error { return read(ctx) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := r.known(); err != nil {
		return nil, err
	}
	return r.facts, ctx.Err()
}

// known is an error if a node was named that there is not.
func (r *reading) known() error {
	for _, name := range r.Limits.Nodes {
		if !r.facts.Unknown[ListNodes] && !slices.ContainsFunc(r.facts.Nodes, func(n Node) bool { return n.Name == name }) {
			return &NoNodeError{name}
		}
	}
	return nil
}

// NoNodeError tells of a node that was named and is not there.
type NoNodeError struct{ Name string }

// Error names it.
func (e *NoNodeError) Error() string {
	return fmt.Sprintf("no node is called %q: kubectl get nodes lists them", e.Name)
}

type reading struct {
	Asker
	mutex sync.Mutex
	facts *Facts
	// configurations are those of agents, by the names of their ConfigMaps.
	configurations map[string]configuration
}

// unseen notes what could not be read.
func (r *reading) unseen(what string, err error, remedy string) {
	u := Unseen{
		What: what, Reason: explain(err), Remedy: remedy,
		Forbidden: apierrors.IsForbidden(err) || errors.Is(err, ErrForbidden), Absent: meta.IsNoMatchError(err),
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.facts.Unseen = append(r.facts.Unseen, u)
}

func (r *reading) unknown(lists ...List) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, l := range lists {
		r.facts.Unknown[l] = true
	}
}

func explain(err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return "you may not read them"
	case meta.IsNoMatchError(err):
		return "the API server does not serve them"
	}
	return err.Error()
}

func (r *reading) version(ctx context.Context) (string, error) {
	clients, err := discovery.NewDiscoveryClientForConfig(r.Config)
	if err != nil {
		return "", err
	}
	info, err := clients.ServerVersionWithContext(ctx)
	switch {
	case apierrors.IsForbidden(err): // so it is up
		r.unseen("the API server's version", err, "")
		return "", nil
	case err != nil:
		return "", err
	}
	return info.GitVersion, nil
}

// numbers reads what audit and pools do, but for endpoints: of a large cluster these
// are most of it.
func (r *reading) numbers(ctx context.Context) error {
	index, err := r.Look()
	if err != nil {
		r.unseen("Services, pools and reservations", err, "ask for a role that can list Services")
		return ctx.Err()
	}
	report := audit.Run(index, r.Now())
	if len(report.Findings) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.Settle):
		}
		// What can not be read a second time was right the first time, as far as known.
		if second, err := r.Look(); err == nil {
			report = report.Confirm(audit.Run(second, r.Now()))
			index = second
		}
	}
	r.facts.Index, r.facts.Audit = index, report
	for _, u := range index.Unread {
		r.mutex.Lock()
		r.facts.Unseen = append(r.facts.Unseen, Unseen{
			What: string(u.Kind), Reason: u.Message, Forbidden: u.Reason == inventory.Forbidden, Absent: u.Reason == inventory.NotServed,
		})
		r.mutex.Unlock()
	}
	return nil
}

// programs finds what runs, and asks it.
func (r *reading) programs(ctx context.Context) error {
	err := r.pods(ctx)
	if err != nil {
		r.unseen("the pods of namespace "+r.System, err, "ask for a role that can list pods there")
		r.unknown(ListProgram)
	}
	r.processes()
	if err == nil && len(r.facts.Agents) == 0 {
		r.agentSets(ctx)
	}
	err = r.dns(ctx)
	if err == nil && len(r.facts.DNS) == 0 {
		err = r.dnsService(ctx)
	}
	if err != nil {
		r.unseen("the pods of DNS", err, "ask for a role that can list pods and EndpointSlices of kube-system")
		r.unknown(ListDNS)
	}
	var group errgroup.Group
	group.Go(func() error { r.agents(ctx); return nil })
	group.Go(func() error { r.managers(ctx); return nil })
	return group.Wait()
}

func (r *reading) agents(ctx context.Context) {
	asked := r.Limits.chosen(r.facts.Agents)
	r.facts.Chosen = map[string]bool{}
	for _, agent := range asked {
		r.facts.Chosen[agent.Name] = true
	}
	if r.Tunnels == nil || len(asked) == 0 {
		return
	}
	answers, err := r.Limits.ask(ctx, r.Tunnels, asked)
	r.facts.Answers = answers
	if err != nil {
		r.unseen("what agents say of themselves", err,
			"who may create pods/portforward in namespace "+r.System+" sees how far behind each is, and what it has repaired")
	}
}

// managers looks at the certificates that they serve, and in the local cluster at
// their counters. Elsewhere those take a token that they know, and nobody's is sent to
// a pod only to print a line.
func (r *reading) managers(ctx context.Context) {
	if r.Tunnels == nil {
		return
	}
	for _, m := range r.facts.Managers {
		if !m.Ready {
			continue
		}
		err := r.manager(ctx, m)
		if err != nil {
			r.unseen("the certificate that "+m.Name+" serves", err, "")
		}
		if errors.Is(err, ErrForbidden) { // so it is of the others
			return
		}
	}
}

// manager looks at one, which takes no time from the others.
func (r *reading) manager(ctx context.Context, m Instance) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.Limits.Each, fmt.Errorf("no answer within %v", r.Limits.Each))
	defer cancel()
	return within(ctx, func() error {
		tunnel, err := r.Tunnels.Open(ctx, m)
		if err != nil {
			return err
		}
		defer func() { _ = tunnel.Close() }()
		if ends, err := certificateEnds(ctx, tunnel, webhookPort); err == nil {
			r.facts.Serving[m.Name] = ends
		} else if ctx.Err() == nil {
			r.facts.NotServing[m.Name] = err
		}
		if r.ManagerPage != 0 {
			r.judged(ctx, tunnel)
		}
		return ctx.Err()
	})
}

func (r *reading) judged(ctx context.Context, tunnel Tunnel) {
	page, err := Get(ctx, tunnel, r.ManagerPage, "/metrics")
	if err != nil || page.Code != http.StatusOK {
		return
	}
	counts := map[string]int{}
	if err := addJudged(counts, page.Body); err != nil {
		r.unseen("the manager's counters", fmt.Errorf("reading them: %w", err), "")
		return
	}
	if r.facts.Judged == nil {
		r.facts.Judged = map[string]int{}
	}
	for result, count := range counts {
		r.facts.Judged[result] += count
	}
}

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
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// webhookPort is where managers serve webhooks.
const webhookPort = 9443

// Limits bound what agents are asked.
type Limits struct {
	// Nodes are those to ask; all when empty.
	Nodes []string
	// Most is how many agents are asked; 0 asks all.
	Most int
	// Parallel is how many are asked at a time, Each how long one may take, and
	// Together how long all.
	Parallel       int
	Each, Together time.Duration
}

// Defaults are those of what is not said.
func (l *Limits) Defaults() {
	l.Parallel = cmp.Or(l.Parallel, 32)
	l.Each = cmp.Or(l.Each, 5*time.Second)
	l.Together = cmp.Or(l.Together, time.Minute)
}

// chosen are the agents to ask: those that seem to have trouble first.
func (l *Limits) chosen(agents []Instance) []Instance {
	asked := slices.Clone(agents)
	if len(l.Nodes) > 0 {
		asked = slices.DeleteFunc(asked, func(a Instance) bool { return !slices.Contains(l.Nodes, a.Node) })
	}
	slices.SortStableFunc(asked, func(a, b Instance) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(a.Node, b.Node))
	})
	if l.Most > 0 && len(asked) > l.Most {
		asked = asked[:l.Most]
	}
	return asked
}

func rank(a Instance) int {
	switch {
	case !a.Ready:
		return 0
	case a.Restarts > 0:
		return 1
	}
	return 2
}

// errNotAsked tells of an agent whose turn did not come.
var errNotAsked = errors.New("it was not asked: there was no time left")

// ask asks the agents. Who lacks the right to ask one lacks it for all: the first
// refusal ends it, and is returned.
func (l *Limits) ask(ctx context.Context, tunnels Tunnels, agents []Instance) (answers map[string]Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.Together)
	defer cancel()
	var mutex sync.Mutex
	answers = map[string]Answer{}
	var asking errgroup.Group
	asking.SetLimit(l.Parallel)
	for _, agent := range agents {
		asking.Go(func() error {
			mutex.Lock()
			refused := err != nil
			mutex.Unlock()
			if refused {
				return nil
			}
			answer := l.askOne(ctx, tunnels, agent)
			mutex.Lock()
			defer mutex.Unlock()
			if errors.Is(answer.Err, ErrForbidden) {
				err = answer.Err
				return nil
			}
			answers[agent.Name] = answer
			return nil
		})
	}
	_ = asking.Wait()
	return answers, err
}

func (l *Limits) askOne(ctx context.Context, tunnels Tunnels, agent Instance) (answer Answer) {
	if ctx.Err() != nil {
		return Answer{Err: errNotAsked}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.Each, fmt.Errorf("no answer within %v", l.Each))
	defer cancel()
	answer.Err = within(ctx, func() error {
		tunnel, err := tunnels.Open(ctx, agent)
		if err != nil {
			return err
		}
		defer func() { _ = tunnel.Close() }()
		return answer.ask(ctx, tunnel, agent.Ports)
	})
	return answer
}

// within says of an error that came of a lack of time just that.
func within(ctx context.Context, do func() error) error {
	err := do()
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// errElsewhere tells of an agent that is not asked on its loopback.
var errElsewhere = errors.New("their metrics are not served there")

// ask asks one agent for its metrics and its health.
func (a *Answer) ask(ctx context.Context, tunnel Tunnel, ports Ports) error {
	if ports.metrics() == 0 {
		return fmt.Errorf("%w: metricsBindAddress is %q", errElsewhere, ports.Metrics)
	}
	page, err := Own(ProofOfMetrics, func(path string) (Page, error) { return Get(ctx, tunnel, ports.metrics(), path) })
	switch {
	case err != nil && ctx.Err() == nil && !ports.Known && strings.Contains(err.Error(), "connection refused"):
		return fmt.Errorf("%w: port %d: %w, and its configuration could not be read", errElsewhere, ports.metrics(), err)
	case err != nil:
		return fmt.Errorf("port %d: %w", ports.metrics(), err)
	}
	a.Now = page.Date
	if err := a.add(page.Body); err != nil {
		return err
	}
	return a.askHealth(ctx, tunnel, ports.health())
}

// askHealth asks for what is no metric. If it is not served, the metrics have to do.
func (a *Answer) askHealth(ctx context.Context, tunnel Tunnel, port int) error {
	if port == 0 {
		return nil
	}
	get := func(path string) (Page, error) { return Get(ctx, tunnel, port, path) }
	ready, err := Own(ProofOfHealth, get)
	if ctx.Err() != nil || errors.Is(err, ErrAnother) {
		return fmt.Errorf("port %d: %w", port, err)
	}
	a.Unready = err == nil && ready.Code == http.StatusServiceUnavailable
	live, err := get("/livez")
	if ctx.Err() != nil {
		return fmt.Errorf("port %d: %w", port, err)
	}
	a.Late = err == nil && live.Code == http.StatusServiceUnavailable
	return nil
}

// InTroubleFirst are the agents that are listed, those that seem to have trouble
// first.
func (f *Facts) InTroubleFirst() []Instance {
	listed := slices.DeleteFunc(slices.Clone(f.Agents), func(a Instance) bool { return !f.Chosen[a.Name] })
	return (&Limits{}).chosen(listed)
}

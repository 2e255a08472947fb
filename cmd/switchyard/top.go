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

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"switchyard.dev/switchyard/internal/localcluster"
	"switchyard.dev/switchyard/internal/localcluster/state"
	"switchyard.dev/switchyard/internal/top"
)

// topOptions are what `switchyard top` can be told.
type topOptions struct {
	node, namespace string
	once            bool
	sort            string
	interval        time.Duration
	metricsURL      string
	output          string
}

func topCommand() *cobra.Command {
	var o topOptions
	c := &cobra.Command{
		Use:   "top",
		Short: "Show what each Service carries on each node",
		Long: `Show what each Service carries on each node: connections begun, per second and
in total, and those that are tracked now with their packets and bytes. The
numbers are the node agents', which count with --count-connections; packets and
bytes are there where net.netfilter.nf_conntrack_acct is 1.

Of a local cluster all nodes are asked. Elsewhere it is the agent of this
machine, or the one that --metrics-url leads to. An agent that does not answer
is named below the table, and asked again.`,
		Example: `  switchyard top -n shop
  switchyard top --once -o json
  switchyard top --metrics-url http://127.0.0.1:10249/metrics`,
		Args: nothing,
	}
	flags := c.Flags()
	flags.StringVar(&o.node, "node", "", "Only this node of the local cluster, by name or number.")
	flags.StringVarP(&o.namespace, "namespace", "n", "", "Only Services of this namespace.")
	flags.BoolVar(&o.once, "once", false, "Print once, without rates, in place of going on.")
	flags.StringVar(&o.sort, "sort", string(top.ByConnections), "What has the most first: connections or bytes.")
	flags.DurationVar(&o.interval, "interval", 2*time.Second, "How often to ask the agents.")
	flags.StringVar(&o.metricsURL, "metrics-url", "", "Metrics of the agent to ask, in place of the local cluster's.")
	flags.StringVarP(&o.output, "output", "o", "", "json, one document for each reading, or nothing for tables.")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.validate(); err != nil {
			return err
		}
		agents, err := o.agents()
		if err != nil {
			return err
		}
		return o.watch(c.Context(), agents, c.OutOrStdout(), c.ErrOrStderr())
	}
	return c
}

func (o *topOptions) validate() error {
	switch {
	case o.output != "" && o.output != "json":
		return fmt.Errorf("unknown output format %q: use json, or leave it out", o.output)
	case o.sort != string(top.ByConnections) && o.sort != string(top.ByBytes):
		return fmt.Errorf("--sort %q: want connections or bytes", o.sort)
	case o.interval < top.Interval:
		return fmt.Errorf("--interval %v: want at least %v, as each reading walks through what the node tracks", o.interval, top.Interval)
	case o.node != "" && o.metricsURL != "":
		return errors.New("--node is for the local cluster, --metrics-url for another agent: give one of them")
	}
	return nil
}

// metricsPage is where one agent's numbers are.
type metricsPage struct {
	node string
	get  func(context.Context) ([]byte, error)
}

const metricsURL = agentURL + "/metrics"

func (o *topOptions) agents() ([]metricsPage, error) {
	if o.metricsURL != "" {
		parsed, err := url.Parse(o.metricsURL)
		if err != nil || parsed.Host == "" {
			return nil, fmt.Errorf("--metrics-url %q: want a URL, as in %s", o.metricsURL, metricsURL)
		}
		return []metricsPage{{parsed.Hostname(), func(ctx context.Context) ([]byte, error) { return get(ctx, o.metricsURL) }}}, nil
	}
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	record, err := localcluster.Running(dir)
	if errors.Is(err, localcluster.ErrNone) {
		host, _ := os.Hostname()
		return []metricsPage{{host, func(ctx context.Context) ([]byte, error) {
			page, err := get(ctx, metricsURL)
			if err != nil {
				err = fmt.Errorf("no local cluster is running, and this machine's agent does not answer (%w): start one with `switchyard up`, or give --metrics-url", err)
			}
			return page, err
		}}}, nil
	}
	if err != nil {
		return nil, err
	}
	return o.localAgents(dir, record.Nodes)
}

func (o *topOptions) localAgents(dir state.Dir, nodes int) ([]metricsPage, error) {
	var pages []metricsPage
	for i := range nodes {
		name := fmt.Sprintf("node-%d", i+1)
		if o.node == "" || o.node == name || o.node == fmt.Sprint(i+1) {
			pages = append(pages, metricsPage{name, func(ctx context.Context) ([]byte, error) { return getOnNode(ctx, dir, name, metricsURL) }})
		}
	}
	if len(pages) == 0 {
		return nil, fmt.Errorf("no node is called %q; there are node-1 to node-%d", o.node, nodes)
	}
	return pages, nil
}

// watch prints reading after reading, until ctx ends. What is wrong from the
// start is an error; later an agent may be away for a while.
func (o *topOptions) watch(ctx context.Context, agents []metricsPage, out, problems io.Writer) error {
	var before []top.Sample
	ticker := time.NewTicker(o.interval)
	defer ticker.Stop()
	for first := true; ; first = false {
		now := ask(ctx, agents)
		if ctx.Err() != nil {
			return nil
		}
		if err := now.useless(); err != nil && first {
			return err
		}
		if err := o.show(out, problems, now, before); err != nil || o.once {
			return err
		}
		before = top.Newest(now.samples, before)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// agentPatience is how long an agent may take to answer: it walks through what
// the node tracks.
const agentPatience = 10 * time.Second

// reading is what the agents said at a time.
type reading struct {
	samples []top.Sample
	// idle are the nodes whose agents do not count.
	idle []string
	// silent is an error for each agent that did not answer.
	silent []error
}

// ask asks all agents at once.
func ask(ctx context.Context, agents []metricsPage) (r reading) {
	ctx, cancel := context.WithTimeout(ctx, agentPatience)
	defer cancel()
	samples, failures := make([]top.Sample, len(agents)), make([]error, len(agents))
	var asking sync.WaitGroup
	for i, agent := range agents {
		asking.Go(func() { samples[i], failures[i] = agent.sample(ctx) })
	}
	asking.Wait()
	for i, s := range samples {
		switch {
		case failures[i] != nil:
			r.silent = append(r.silent, failures[i])
			continue
		case !s.Counting:
			r.idle = append(r.idle, s.Node)
		}
		r.samples = append(r.samples, s)
	}
	return r
}

func (m metricsPage) sample(ctx context.Context) (top.Sample, error) {
	page, err := m.get(ctx)
	if err != nil {
		return top.Sample{}, fmt.Errorf("asking the agent of %s: %w", m.node, err)
	}
	return top.Read(m.node, time.Now(), bytes.NewReader(page))
}

// useless is an error if there is nothing to show.
func (r reading) useless() error {
	switch {
	case len(r.samples) == 0:
		return errors.Join(r.silent...)
	case len(r.idle) == len(r.samples) && len(r.silent) == 0:
		return errors.New(r.idleText())
	}
	return nil
}

func (r reading) idleText() string {
	return fmt.Sprintf("the agent of %s does not count: start switchyard-node with --count-connections", strings.Join(r.idle, ", "))
}

// notes are what the table can not tell.
func (r reading) notes() (lines []string) {
	if len(r.idle) > 0 {
		lines = append(lines, r.idleText())
	}
	for _, err := range r.silent {
		lines = append(lines, "not shown: "+err.Error())
	}
	return lines
}

func (o *topOptions) show(out, problems io.Writer, now reading, before []top.Sample) error {
	rows := slices.DeleteFunc(top.Table(now.samples, before), func(r top.Row) bool { return o.namespace != "" && r.Namespace != o.namespace })
	top.Sort(rows, top.Order(o.sort))
	if err := o.print(out, rows, len(now.notes()), before == nil); err != nil {
		return err
	}
	for _, note := range now.notes() {
		if _, err := fmt.Fprintln(problems, note); err != nil {
			return err
		}
	}
	return nil
}

// print leaves lines for notes free below the table.
func (o *topOptions) print(out io.Writer, rows []top.Row, notes int, first bool) error {
	if o.output == "json" {
		if rows == nil {
			rows = []top.Row{}
		}
		return json.NewEncoder(out).Encode(rows)
	}
	lines := 0
	if file, is := out.(*os.File); is && !o.once && term.IsTerminal(int(file.Fd())) {
		if _, height, err := term.GetSize(int(file.Fd())); err == nil {
			lines = max(height-notes, 1)
		}
		_, _ = fmt.Fprint(out, "\x1b[H\x1b[2J") // home, and clear
	} else if !first {
		_, _ = fmt.Fprintln(out)
	}
	return top.Print(out, rows, lines)
}

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
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/testenv/process"
)

const (
	// dnsName is the part of the run, the others its subjects.
	dnsName      = "dns"
	ourDNSName   = "switchyard-dns"
	theirDNSName = "CoreDNS"
	// dnsSize is how many Services there are where the targets hold.
	dnsSize      = 10_000
	dnsEndpoints = 5
	// shortestQueries is how long a server is asked at least.
	shortestQueries = 100 * time.Millisecond
	// askers are the clients, pacedRate how often they ask together in a second
	// where they do not ask as often as they can.
	askers    = 32
	pacedRate = 5000
	dnsPort   = 5353
)

// dnsSubject is a DNS server to measure, with or without CoreDNS's cache before
// what it knows of the cluster.
type dnsSubject struct {
	name, program, flag, directive string
	cached                         bool
}

func dnsSubjects(o options, cached bool) []dnsSubject {
	return []dnsSubject{
		{ourDNSName, o.dnsServer, "--config", "switchyard", cached},
		{theirDNSName, o.coreDNS, "-conf", "kubernetes", cached},
	}
}

// corefile is that of kubeadm, without a forwarder, which nobody would ask.
func (s dnsSubject) corefile(kubeconfig string) string {
	cache := ""
	if s.cached {
		cache = "\n    cache 30"
	}
	return fmt.Sprintf(`.:%d {
    bind 127.0.0.1
    errors
    prometheus 127.0.0.1:9153
    %s cluster.local in-addr.arpa ip6.arpa {
        kubeconfig %s
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }%s
    loadbalance
}
`, dnsPort, s.directive, kubeconfig, cache)
}

// dnsBench measures one server after the other beside the same API server.
type dnsBench struct {
	options options
	dir     string
	*inventory
	questions []question
	arrivals  *arrivals
	// switched is how often the Service switching was given another endpoint.
	switched int
}

// measureDNS has an API server to itself, which is gone when it returns.
func measureDNS(ctx context.Context, o options, dir string) (results []dnsResult, err error) {
	progress("dns  starting etcd and kube-apiserver")
	c, err := startCluster(dir)
	if err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	b := &dnsBench{options: o, dir: dir, inventory: &inventory{cluster: c}, questions: questionsOf(o.dns)}
	progress("dns  writing %d Services with %d endpoints each", o.dns, dnsEndpoints)
	if err := b.build(ctx); err != nil {
		return nil, fmt.Errorf("dns: writing objects: %w", err)
	}
	if b.arrivals, err = b.watchSwitching(ctx); err != nil {
		return nil, err
	}
	defer b.arrivals.stop()
	return b.measureAll(ctx)
}

// measureAll has the servers take turns: a machine has better and worse moments.
func (b *dnsBench) measureAll(ctx context.Context) (results []dnsResult, err error) {
	for _, cached := range []bool{false, true} {
		subjects := dnsSubjects(b.options, cached)
		var measured [2]dnsTurns
		for i, s := range subjects {
			measured[i].dnsResult = dnsResult{Name: s.name, Cached: cached, Size: size{b.options.dns, dnsEndpoints}}
		}
		for turn := range b.options.dnsTurns {
			for n := range subjects {
				i := (n + turn) % len(subjects)
				if err := b.turn(ctx, subjects[i], turn, &measured[i]); err != nil {
					return results, fmt.Errorf("dns, %s: %w", subjects[i].name, err)
				}
			}
		}
		for i := range measured {
			results = append(results, measured[i].result())
		}
	}
	return results, nil
}

// turn is one life of a server.
func (b *dnsBench) turn(ctx context.Context, s dnsSubject, turn int, t *dnsTurns) error {
	if err := b.awaitIdle(ctx); err != nil {
		return err
	}
	began := time.Now()
	p, err := b.startDNS(s)
	if err != nil {
		return err
	}
	defer p.Stop(endPatience)
	if err := b.started(ctx, p, began, t); err != nil {
		return errors.Join(err, p.Alive())
	}
	if !s.cached {
		if err := b.change(ctx, t); err != nil {
			return errors.Join(err, p.Alive())
		}
	}
	for _, phase := range []struct {
		rate int
		into *loadTurns
	}{{0, &t.full}, {pacedRate, &t.paced}} {
		if err := b.load(p, turn, phase.rate, phase.into); err != nil {
			return errors.Join(err, p.Alive())
		}
	}
	settleDown(ctx)
	rss, err := p.ResidentMemory()
	t.SteadyBytes = max(t.SteadyBytes, rss)
	r := t.result()
	progress("dns  %-14s cache %-5v start %s ms, %s queries/s, p99 %s ms, change p99 %s ms, %s MiB", s.name, s.cached, number(r.Start), number(r.Full.perSecond()),
		number(r.Paced.Took.P99), number(r.Change.Sent.P99), number(toMiB(rss)))
	return err
}

func (b *dnsBench) startDNS(s dnsSubject) (*process.Process, error) {
	corefile := filepath.Join(b.dir, "Corefile")
	if err := os.WriteFile(corefile, []byte(s.corefile(b.kubeconfig)), 0o600); err != nil {
		return nil, err
	}
	here, err := netns.Current()
	if err != nil {
		return nil, err
	}
	defer func() { _ = here.Close() }()
	return process.Start(exec.Command(s.program, s.flag, corefile), here, filepath.Join(b.dir, strings.ToLower(s.name)+".log"))
}

// started waits until the server's answers are right.
func (b *dnsBench) started(ctx context.Context, p *process.Process, began time.Time, t *dnsTurns) error {
	if err := awaitRight(ctx, p, firstQuestions(b.options.dns)); err != nil {
		return err
	}
	t.starts = append(t.starts, time.Since(began))
	cpu, err := p.CPU()
	if err != nil {
		return err
	}
	t.startCPU = append(t.startCPU, cpu)
	settleDown(ctx)
	rss, err := p.ResidentMemory()
	peak, err2 := p.PeakMemory()
	t.StartedBytes, t.PeakBytes = max(t.StartedBytes, rss), max(t.PeakBytes, peak)
	return errors.Join(err, err2)
}

// settleDown lets a server finish what it has begun.
func settleDown(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

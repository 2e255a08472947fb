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
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/test/testenv/managers"
	"switchyard.dev/switchyard/test/testenv/process"
)

// way is how the API server of the same objects is asked.
type way struct {
	name string
	// allocation is the manager's mode; without one there is no manager either.
	allocation string
	// pools says that there are pools and reservations.
	pools bool
}

// Without webhooks is measured first and last, to even out what changes with time.
var (
	without       = way{name: "none"}
	advisory      = way{name: "advisory", allocation: "advisory"}
	withPools     = way{name: "advisory, pools", allocation: "advisory", pools: true}
	authoritative = way{name: "authoritative, pools", allocation: "authoritative", pools: true}

	ways = []way{without, advisory, withPools, authoritative, without}
)

// load is how many clients ask at a time, each with a new request as soon as the
// last is answered, or all together so often in a second.
type load struct{ clients, perSecond int }

func (l load) String() string {
	if l.perSecond == 0 {
		return fmt.Sprint(l.clients)
	}
	return fmt.Sprintf("%d, %d/s", l.clients, l.perSecond)
}

// loads is a flag: a list such as 1,32,8@25.
type loads []load

func (l *loads) String() string {
	var words []string
	for _, one := range *l {
		word := fmt.Sprint(one.clients)
		if one.perSecond > 0 {
			word += fmt.Sprintf("@%d", one.perSecond)
		}
		words = append(words, word)
	}
	return strings.Join(words, ",")
}

func (l *loads) Set(text string) error {
	*l = nil
	for word := range strings.SplitSeq(text, ",") {
		clients, rate, paced := strings.Cut(word, "@")
		n, err := strconv.Atoi(clients)
		perSecond := 0
		if paced && err == nil {
			perSecond, err = strconv.Atoi(rate)
		}
		if err != nil || n < 1 || n > 32 || paced && perSecond < 1 {
			return fmt.Errorf("%q: give CLIENTS, at most 32, or CLIENTS@REQUESTSPERSECOND", word)
		}
		*l = append(*l, load{n, perSecond})
	}
	return nil
}

// The metrics that have the manager's time: its own work, and all from the request
// read to the answer written, with whatever it asks the API server; and the API
// server's.
const (
	ownWork        = "switchyard_allocator_request_duration_seconds"
	handling       = "controller_runtime_webhook_latency_seconds"
	mutatingPath   = "/mutate--v1-service"
	validatingPath = "/validate--v1-service"
	seenLatency    = "apiserver_admission_webhook_admission_duration_seconds"
	mutatingName   = "mservice.switchyard.dev"
	validatingName = "service.validate.switchyard.dev"
	// seenWithin is the bound in seconds of that metric that is next to the target.
	seenWithin = 0.025
)

// admissionBench measures the webhooks.
type admissionBench struct {
	options options
	dir     string
	*town
	config  *rest.Config
	calls   *calls
	manager *managers.Manager
	pooled  bool
	phases  []*phase
}

// phase is one way of asking with so many clients at a time.
type phase struct {
	result  admissionResult
	answers *answers
	times   [][2]time.Time
}

// measureAdmission has an API server to itself, which is gone when it returns.
func measureAdmission(ctx context.Context, o options, dir string) (results []admissionResult, err error) {
	b := &admissionBench{options: o, dir: dir}
	progress("webhooks   starting etcd and kube-apiserver")
	if err := b.start(ctx); err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	defer func() {
		err = errors.Join(err, b.end(ctx), b.stop()) // it sends its last spans
		b.calls.close()
		results = b.results()
	}()
	for _, way := range ways {
		if err := b.measure(ctx, way); err != nil {
			return nil, fmt.Errorf("webhooks, %s: %w", way.name, err)
		}
	}
	return nil, nil
}

// start makes the API server and all that it holds.
func (b *admissionBench) start(ctx context.Context) (err error) {
	if b.calls, err = collectCalls(); err != nil {
		return err
	}
	tracing := filepath.Join(b.dir, "tracing.yaml")
	if err := b.calls.writeConfig(tracing); err != nil {
		return err
	}
	c, err := startCluster(b.dir, func(env *envtest.Environment) {
		env.ControlPlane.GetAPIServer().Configure().
			Set("service-cluster-ip-range", serviceCIDR.String()+","+serviceCIDRv6.String()).
			Set("tracing-config-file", tracing)
	})
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	config := rest.CopyConfig(c.config)
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	b.config, b.town = config, &town{cluster: c, api: api, services: b.options.admission}
	if err := managers.Install(ctx, api); err != nil {
		return err
	}
	progress("webhooks   writing %d Services", b.services)
	return b.build(ctx)
}

// measure asks in one way.
func (b *admissionBench) measure(ctx context.Context, way way) error {
	if err := b.begin(ctx, way); err != nil {
		return err
	}
	if err := b.awaitIdle(ctx); err != nil {
		return err
	}
	for _, load := range b.options.loads {
		progress("webhooks   %-20s clients: %s", way.name, load)
		if err := b.take(ctx, load, b.phase(way, load)); err != nil {
			return err
		}
	}
	return b.end(ctx)
}

// begin starts the manager and has it called, unless without.
func (b *admissionBench) begin(ctx context.Context, way way) (err error) {
	if way.pools && !b.pooled {
		if err := b.createPools(ctx); err != nil {
			return err
		}
		b.pooled = true
	}
	if way.allocation == "" {
		return nil
	}
	kubeconfig := filepath.Join(b.dir, "manager.kubeconfig")
	if err := managers.WriteKubeconfig(ctx, b.api, b.config, kubeconfig); err != nil {
		return err
	}
	log := filepath.Join(b.dir, "switchyard-manager.log")
	if b.manager, err = managers.Start(b.options.manager, kubeconfig, log, "--allocation="+way.allocation); err != nil {
		return err
	}
	if err := managers.InstallWebhooks(ctx, b.api, b.manager.WebhookPort); err != nil {
		return err
	}
	return b.manager.AwaitReady(ctx)
}

// end leaves the API server as begin found it.
func (b *admissionBench) end(ctx context.Context) error {
	if b.manager == nil {
		return nil
	}
	b.manager.Stop()
	b.manager = nil
	return errors.Join(
		b.api.DeleteAllOf(ctx, &admissionregistrationv1.MutatingWebhookConfiguration{}),
		b.api.DeleteAllOf(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{}))
}

// phase finds the one that is measured in two goes.
func (b *admissionBench) phase(way way, load load) *phase {
	for _, p := range b.phases {
		if p.result.Webhooks == way.name && p.result.Clients == load.String() {
			return p
		}
	}
	p := &phase{result: admissionResult{Webhooks: way.name, Clients: load.String(), Services: b.services}, answers: newAnswers()}
	b.phases = append(b.phases, p)
	return p
}

// take asks, and reads what both sides say of it.
func (b *admissionBench) take(ctx context.Context, load load, p *phase) error {
	crowd := b.crowd(load)
	if err := crowd.live(ctx, 1, newAnswers()); err != nil {
		return err
	}
	before, err := b.read(ctx)
	if err != nil {
		return err
	}
	asked := p.answers.count()
	from := time.Now()
	if err := crowd.live(ctx, max(1, b.options.requests/(3*load.clients)), p.answers); err != nil {
		return err
	}
	to := time.Now()
	after, err := b.read(ctx)
	if err != nil {
		return err
	}
	p.times = append(p.times, [2]time.Time{from, to})
	p.result.add(before, after, to.Sub(from), p.answers.count()-asked)
	return nil
}

// reading is what is known of both sides at one moment.
type reading struct {
	manager, server       metrics
	managerCPU, serverCPU time.Duration
}

func (b *admissionBench) read(ctx context.Context) (r reading, err error) {
	if r.serverCPU, err = process.CPUTime(b.pid); err != nil || b.manager == nil {
		return r, err
	}
	if r.managerCPU, err = process.CPUTime(b.manager.PID()); err != nil {
		return r, err
	}
	if r.manager, err = scrape(ctx, http.DefaultClient, b.manager.Metrics); err != nil {
		return r, err
	}
	server, err := rest.HTTPClientFor(b.config)
	if err != nil {
		return r, err
	}
	r.server, err = scrape(ctx, server, strings.TrimSuffix(b.config.Host, "/")+"/metrics")
	return r, err
}

// results are complete when the API server has told the last.
func (b *admissionBench) results() []admissionResult {
	var all []admissionResult
	for _, p := range b.phases {
		r := p.result
		r.Create, r.Update, r.Delete = quantilesOf(p.answers.took["create"]), quantilesOf(p.answers.took["update"]), quantilesOf(p.answers.took["delete"])
		r.Refused = p.answers.refused
		var calls []call
		for _, times := range p.times {
			calls = append(calls, b.calls.between(times[0], times[1])...)
		}
		r.SeenMutating = quantilesBy(calls, func(c call) time.Duration { return c.mutating })
		r.SeenValidating = quantilesBy(calls, func(c call) time.Duration { return c.validating })
		r.SeenBoth = quantilesBy(calls, call.both)
		all = append(all, r)
	}
	return all
}

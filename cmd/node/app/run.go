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

package app

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/announce/claims"
	"switchyard.dev/switchyard/internal/command"
	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/loopback"
	"switchyard.dev/switchyard/internal/version"
)

// component is the source of Events and the user agent.
const component = "switchyard-node"

// mostCounted bounds the Services that have series of their own with
// --count-connections; the others share one.
const mostCounted = 1000

// run programs the node until ctx ends. Everything that can be found wrong
// before the first packet is, before it.
func run(ctx context.Context, args []string, r resolved) error {
	o := r.options
	log := newLogging(o)
	ctx = ctrllog.IntoContext(ctx, log.Logger)
	r.warn(log)
	nodeName, err := o.nodeName()
	if err != nil {
		return err
	}
	metrics := health.NewMetrics(version.String(), families()...)
	metrics.CountRequests()
	client, err := newClient(o)
	if err != nil {
		return err
	}
	kernel, err := openKernel(ctx, o, func(family model.Family, walk conntrack.Swept) { tellWalk(log, metrics, family, walk) })
	if err != nil {
		return err
	}
	defer kernel.close()
	o.setUp(log.Logger, "/")
	command.CollectAt(gcPercentAtStart)
	nodeOptions, err := o.node()
	if err != nil {
		return err
	}
	recorder, stopEvents := newRecorder(client, nodeName)
	defer stopEvents()
	state := health.NewState(health.Patience, kernel.families...)
	announcer := agent.NewOnceForAll(client, component)
	checks := health.NewServiceChecks(state)
	defer checks.Close()
	announced := &books{}
	programmer := agent.New(agent.Config{
		NodeName: nodeName, Client: client, Recorder: recorder, Announcer: announcer,
		Tables: kernel.tables, Sweepers: kernel.sweepers, Watcher: kernel.watcher, Checks: checks,
		Node: nodeOptions, Features: o.features(), Store: o.store(), WithoutExternalIPs: o.withoutExternalIPs(), State: state, Metrics: metrics,
		Changed: announced.changed,
	})
	background := append(kernel.background, announcer.Run, func(ctx context.Context) { settle(ctx, state) })
	if o.Own.announces(announceL2) {
		book := claims.New(client, o.Own.announceNamespace(), programmer)
		*announced = append(*announced, book)
		speak, err := speakL2(o, nodeName, book, state, metrics, recorder)
		if err != nil {
			return err
		}
		background = append(background, speak)
	}
	if o.Own.announces(announceRoutes) {
		book := claims.New(client, o.Own.announceNamespace(), programmer)
		*announced = append(*announced, book)
		warnings := nodeWarnings{client, recorder, nodeReference(nodeName)}
		background = append(background, announceByRoutes(&o.Own, book, programmer, state, metrics, warnings)...)
	}
	if o.Own.CountConnections {
		metrics.ServeTraffic(agent.Traffic{Agent: programmer, Counters: kernel.counters, Tracked: conntrack.Traffic}, mostCounted)
	}
	shown := &pages{started: time.Now(), log: log}
	shown.current.Store(&r)
	log.Info("Starting", "version", version.String(), "node", nodeName, "families", fmt.Sprint(kernel.families))
	if o.Config != "" && r.file == nil {
		log.Info("There is no configuration file, going on without until it comes", "path", o.Config)
	}
	node := nodeReference(nodeName)
	// As kube-proxy says it, for who waits for a node to be served.
	recorder.Event(node, corev1.EventTypeNormal, "Starting", "")

	group, ctx := errgroup.WithContext(ctx)
	for _, s := range servers(o, state, metrics, shown) {
		group.Go(func() error { return s.serve(ctx, o.Proxy.BindAddressHardFail, nodeWarnings{client, recorder, node}) })
	}
	if o.Config != "" {
		reload := &reloader{args: args, current: r, use: func(next resolved) error {
			shown.current.Store(&next)
			return use(ctx, next.options, log, programmer)
		}, try: func(ctx context.Context, next resolved) error { return next.options.couldStart(ctx, o) }}
		group.Go(func() error { return reload.run(ctx) })
	}
	for _, run := range background {
		group.Go(func() error { run(ctx); return nil })
	}
	group.Go(func() error { return programmer.Run(ctx) })
	err = group.Wait()
	log.Info("Stopped; the rules stay and keep forwarding")
	return err
}

// tellWalk tells of a walk through the connections.
func tellWalk(log logging, metrics *health.Metrics, family model.Family, walk conntrack.Swept) {
	metrics.Cleaned(family, walk.Duration, walk.Deleted)
	switch {
	case walk.Err != nil:
		log.Error(walk.Err, "Could not delete stale connections, will try again", "family", family.String())
	case walk.Deleted > 0:
		log.V(2).Info("Deleted stale connections", "family", family.String(), "entries", walk.Deleted, "took", walk.Duration.String())
	}
}

// use takes over what may change while the program runs.
func use(ctx context.Context, o *Options, log logging, programmer *agent.Agent) error {
	nodeOptions, err := o.node()
	if err != nil {
		return err
	}
	log.setVerbosity(int(o.Proxy.Logging.Verbosity))
	o.setUp(log.Logger, "/")
	programmer.SetNodeOptions(ctx, nodeOptions)
	return nil
}

// warn says once what was given without any effect, and what shows more than one may
// have thought. kube-proxy takes it without a word.
func (r resolved) warn(log logging) {
	if len(r.ignored) > 0 {
		log.Info("Warning: these settings of kube-proxy mean nothing to this program and are ignored, see docs/node-agent.md",
			"settings", strings.Join(r.ignored, ", "))
	}
	if o := r.options; o.namesLoopback() && !o.features().LocalhostNodePorts {
		log.Info("Warning: NodePorts do not answer on loopback addresses without --nodeports-on-localhost",
			"nodePortAddresses", o.Proxy.NodePortAddresses)
	}
	if p := r.options.Proxy; p.EnableProfiling && p.MetricsBindAddress != "" && !loopback.Address(p.MetricsBindAddress) {
		log.Info("Warning: --profiling shows whoever reaches it what is in memory, and lets them set this log's verbosity: serve at a loopback address",
			"metricsBindAddress", p.MetricsBindAddress)
	}
}

// initOnly does what takes more than NET_ADMIN: the kernel's settings, and the
// loading of modules, which trying the rules brings about.
func initOnly(ctx context.Context, r resolved) error {
	log := newLogging(r.options)
	r.warn(log)
	kernel, err := openKernel(ctrllog.IntoContext(ctx, log.Logger), r.options, nil)
	if err != nil {
		return err
	}
	defer kernel.close()
	if err := apply(r.options.kernelSettings(nodeCPUs()), "/"); err != nil {
		return fmt.Errorf("--init-only: %w", err)
	}
	log.Info("The node is set up; switchyard-node needs only the capability NET_ADMIN from now on")
	return nil
}

func servers(o *Options, state *health.State, metrics *health.Metrics, shown *pages) []server {
	measured := http.NewServeMux()
	measured.Handle("/", health.MetricsMux(metrics))
	shown.add(measured, o.Proxy.EnableProfiling)
	return []server{
		{"healthz-bind-address", o.Proxy.HealthzBindAddress, health.Mux(state, metrics), "FailedToStartProxierHealthcheck", listenAgain},
		{"metrics-bind-address", o.Proxy.MetricsBindAddress, measured, "FailedToStartMetricServer", listenAgain},
	}
}

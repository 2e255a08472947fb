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

package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"switchyard.dev/switchyard/internal/serviceenv"
)

// start starts one run of a container. An error means that it could not be
// tried; a run that fails to start is noted in the container.
func (w *worker) start(ctx context.Context, pod *corev1.Pod, c *container) error {
	env, err := w.environment(ctx, pod, c)
	if err != nil {
		return err
	}
	now := time.Now()
	r, err := w.newRun(ctx, pod, c, env)
	if errors.Is(err, errConfig) {
		return err
	}
	if err != nil {
		c.refuse(pod, err, now)
		w.r.event(pod, corev1.EventTypeWarning, "Failed", fmt.Sprintf("Error: container %s: %v", c.spec.Name, err))
		return nil
	}
	resumed := c.resumed
	c.begin(pod, r, env, now)
	go func() {
		<-r.done()
		w.poke()
	}()
	w.startProbes(pod, c)
	w.collect(pod) // readiness, or an end that came at once
	if !resumed {
		w.r.event(pod, corev1.EventTypeNormal, "Started", "Container started: "+c.spec.Name)
	}
	w.r.log.V(2).Info("Container started", "pod", klog.KObj(pod), "container", c.spec.Name, "restarts", c.attempt)
	return nil
}

// errConfig marks what the user has to mend before a run can be tried.
var errConfig = errors.New("configuration")

func (w *worker) newRun(ctx context.Context, pod *corev1.Pod, c *container, env []string) (run, error) {
	attempt := c.attempt
	if c.phase == phaseExited {
		attempt++
	}
	if c.kind == kindEcho && c.role == roleInit {
		return finishedRun{at: time.Now()}, nil // there is nothing to wait for
	}
	var o orders
	if c.kind != kindEcho {
		var err error
		if o, err = w.orders(ctx, pod, c, env); err != nil {
			return nil, err
		}
	}
	w.removeOldLog(pod, c, attempt-2) // one earlier run's is kept for --previous
	log, err := openLog(logPath(w.r.config.StateDir, pod, c.spec.Name, attempt))
	if err != nil {
		return nil, err
	}
	var r run
	if c.kind != kindEcho {
		r, err = startProgram(w.sandbox.ns, o, c.spec, log)
	} else {
		r, err = startEcho(pod, c.spec, w.sandbox.ips, w.sandbox.ns, log, w.poke)
	}
	if err != nil {
		log.write("stderr", "F", []byte(err.Error()))
		_ = log.Close()
		return nil, err
	}
	return r, nil
}

func (w *worker) removeOldLog(pod *corev1.Pod, c *container, attempt int32) {
	path := logPath(w.r.config.StateDir, pod, c.spec.Name, attempt)
	_ = os.Remove(path)
	_ = os.Remove(rotatedLog(path))
}

// orders is how a container's program is started.
func (w *worker) orders(ctx context.Context, pod *corev1.Pod, c *container, env []string) (orders, error) {
	if c.kind == kindLocal && len(c.spec.Command) == 0 {
		return orders{}, fmt.Errorf("%w: a Pod with %s runs no image: container %s needs a command", errConfig, RunLocal, c.spec.Name)
	}
	mounts, err := w.mounts(ctx, pod, c)
	if err != nil {
		return orders{}, err
	}
	expanded := func(args []string) []string {
		return mapSlice(args, func(arg string) string { return expand(arg, lookIn(env)) })
	}
	o := orders{
		Dir: c.spec.WorkingDir, Env: env, Mounts: mounts,
		Args: slices.Concat(expanded(c.spec.Command), expanded(c.spec.Args)),
	}
	if !pod.Spec.HostNetwork {
		o.Hostname = hostname(pod)
	}
	if c.kind == kindImage {
		if err := w.imageOrders(pod, c, &o); err != nil {
			return orders{}, err
		}
	}
	if c.spec.TTY && !slices.ContainsFunc(env, func(v string) bool { return len(v) > 5 && v[:5] == "TERM=" }) {
		o.Env = append(slices.Clone(env), "TERM=xterm")
	}
	return o, nil
}

func (w *worker) mounts(ctx context.Context, pod *corev1.Pod, c *container) ([]mount, error) {
	etc := filepath.Join(w.sandbox.dir, "etc")
	mounts := []mount{
		{Source: filepath.Join(etc, "resolv.conf"), Target: "/etc/resolv.conf"},
		{Source: filepath.Join(etc, "hosts"), Target: "/etc/hosts"},
	}
	more, err := w.volumeMounts(ctx, pod, c)
	return append(mounts, more...), err
}

func (w *worker) environment(ctx context.Context, pod *corev1.Pod, c *container) ([]string, error) {
	services, err := w.r.serviceList()
	if err != nil {
		return nil, err
	}
	links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
	return containerEnv(envSource{
		pod: pod, podIPs: w.sandbox.ips, nodeIPs: w.r.config.NodeIPs,
		base:      c.baseEnv(pod),
		services:  serviceenv.For(services, pod.Namespace, links),
		configMap: w.r.configMapReader(ctx, pod.Namespace),
		secret:    w.r.secretReader(ctx, pod.Namespace),
	}, c.spec)
}

// startProbes runs the container's probes until its run ends: first the
// startup probe, alone, then the others.
func (w *worker) startProbes(pod *corev1.Pod, c *container) {
	all, stopAll := context.WithCancel(context.Background())
	liveness, stopLiveness := context.WithCancel(all)
	c.stopProbes, c.stopLiveness = stopAll, stopLiveness
	t := target{from: w.r.config.Namespace, podIP: w.sandbox.ips[0], container: c.spec, exec: w.probeExec(pod, c)}
	this := c.run
	// report applies f if the run is still the one that was probed.
	report := func(f func()) {
		w.mu.Lock()
		if c.run == this {
			f()
		}
		w.mu.Unlock()
		w.poke()
	}
	others := func() {
		if probe := c.spec.ReadinessProbe; probe != nil {
			go t.repeat(all, probe, false, func(ok bool, reason error) bool {
				if !ok {
					w.r.event(pod, corev1.EventTypeWarning, "Unhealthy", fmt.Sprintf("Readiness probe failed: %v", reason))
				}
				report(func() { c.ready = ok })
				return true
			})
		}
		if probe := c.spec.LivenessProbe; probe != nil {
			go t.repeat(liveness, probe, true, func(ok bool, reason error) bool {
				if !ok {
					report(func() { w.killUnhealthy(pod, c, "Liveness", probe, reason) })
				}
				return ok
			})
		}
	}
	if probe := c.spec.StartupProbe; probe != nil {
		go t.repeat(liveness, probe, false, func(ok bool, reason error) bool {
			if !ok {
				report(func() { w.killUnhealthy(pod, c, "Startup", probe, reason) })
				return false
			}
			report(func() { c.started = true })
			others()
			return false
		})
		return
	}
	others()
}

// killUnhealthy ends a run whose probe failed for good; the plan restarts it.
func (w *worker) killUnhealthy(pod *corev1.Pod, c *container, kind string, probe *corev1.Probe, reason error) {
	w.r.event(pod, corev1.EventTypeWarning, "Unhealthy", fmt.Sprintf("%s probe failed: %v", kind, reason))
	w.r.event(pod, corev1.EventTypeNormal, "Killing", fmt.Sprintf("Container %s failed %s probe, will be restarted", c.spec.Name, kind))
	grace := gracePeriod(pod)
	if probe.TerminationGracePeriodSeconds != nil {
		grace = time.Duration(*probe.TerminationGracePeriodSeconds) * time.Second
	}
	if echo, ok := c.run.(*echoRun); ok {
		go echo.kill()
		return
	}
	go stopRun(c.run, grace)
}

func gracePeriod(pod *corev1.Pod) time.Duration {
	if pod.Spec.TerminationGracePeriodSeconds == nil {
		return 30 * time.Second
	}
	return time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second
}

// stopRun asks a run to end and, after its grace period, makes it.
func stopRun(r run, grace time.Duration) {
	r.terminate()
	select {
	case <-r.done():
	case <-time.After(grace):
		r.kill()
	}
}

// finishedRun is an init container without a program: complete at once.
type finishedRun struct{ at time.Time }

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (r finishedRun) done() <-chan struct{} { return closed }
func (r finishedRun) end() ending           { return ending{reason: "Completed", at: r.at} }
func (r finishedRun) kill()                 {}
func (r finishedRun) terminate()            {}

func mapSlice(in []string, f func(string) string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = f(s)
	}
	return out
}

func lookIn(env []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, v := range env {
			if len(v) > len(name) && v[:len(name)] == name && v[len(name)] == '=' {
				return v[len(name)+1:], true
			}
		}
		return "", false
	}
}

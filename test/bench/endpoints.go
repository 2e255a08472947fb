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
	"os/exec"
	"path/filepath"
	"time"

	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/testenv/process"
)

// endpointsSubject is a program that writes EndpointSlices and Endpoints.
type endpointsSubject struct {
	name    string
	program string
	args    []string
	// throttled says that its client has limits that it will reach: what it has
	// not done after a while is not waited for.
	throttled bool
	// metrics is where it serves its own, empty if it is not asked.
	metrics string
}

const (
	// endpointsName is the part of the run, the others its subjects.
	endpointsName   = "endpoints"
	managerName     = "switchyard-manager"
	throttledName   = "kube-controller-manager"
	unthrottledName = throttledName + ", no client limits"
	// madeMeanwhile is how many pods change while nobody runs.
	madeMeanwhile = 50
	slowRate      = 20
	fastRate      = 200
)

const (
	// fullPatience is how long a program is waited for, and shortPatience where its
	// own limits hold it up.
	fullPatience  = 5 * time.Minute
	shortPatience = 20 * time.Second
)

func (s endpointsSubject) patience() time.Duration {
	if s.throttled {
		return shortPatience
	}
	return fullPatience
}

func endpointsSubjects(o options) (ours, free, throttled endpointsSubject) {
	ours = endpointsSubject{name: managerName, program: o.manager, metrics: "http://" + pprofAddress + "/metrics", args: []string{
		"--endpoints=all", "--webhooks=off", "--allocation=off", "--diagnosis=off", "--leader-elect=false", "--namespace=" + namespace,
		"--metrics-bind-address=" + pprofAddress, "--metrics-secure=false", "--health-probe-bind-address=0",
	}}
	throttled = endpointsSubject{name: throttledName, program: filepath.Join(filepath.Dir(o.peer), throttledName), throttled: true, args: []string{
		"--controllers=endpointslice-controller,endpoints-controller,endpointslice-mirroring-controller",
		"--leader-elect=false", "--secure-port=0",
	}}
	free = throttled
	free.name, free.throttled = unthrottledName, false
	free.args = append([]string{"--kube-api-qps=100000", "--kube-api-burst=100000"}, throttled.args...)
	return ours, free, throttled
}

// endpointsBench measures one program after the other beside the same API server.
type endpointsBench struct {
	options options
	dir     string
	*hamlet
	seen    *readiness
	results []endpointsResult
}

// measureEndpoints has an API server to itself, which is gone when it returns.
func measureEndpoints(ctx context.Context, o options, dir string) (results []endpointsResult, err error) {
	progress("endpoints  starting etcd and kube-apiserver")
	c, err := startCluster(dir)
	if err != nil {
		return nil, fmt.Errorf("endpoints: %w", err)
	}
	b := &endpointsBench{options: o, dir: dir, hamlet: &hamlet{cluster: c, services: o.endpoints, large: o.large}}
	defer func() {
		results = b.results
		err = errors.Join(err, b.stop())
	}()
	progress("endpoints  writing %d Services with %d pods each and one with %d", b.services, podsEach, b.large)
	if err := b.build(ctx); err != nil {
		return nil, fmt.Errorf("endpoints: writing objects: %w", err)
	}
	b.seen = newReadiness()
	defer func() { b.seen.stop() }()
	return nil, b.measureAll(ctx)
}

// measureAll begins each with the same objects and without slices, but for the
// throttled one, which would take minutes to make them: it takes over what the
// one before has made, and how far it gets alone comes last. As each start of
// kube-controller-manager takes a minute or more, there is no other one.
func (b *endpointsBench) measureAll(ctx context.Context) error {
	ours, free, throttled := endpointsSubjects(b.options)
	for _, subject := range []endpointsSubject{ours, free, throttled} {
		r := endpointsResult{Name: subject.name, Services: b.services, Large: b.large}
		var err error
		switch subject.name {
		case free.name:
			err = b.startAlone(ctx, subject, &r, b.followAll)
		case throttled.name:
			err = errors.Join(b.startAgain(ctx, subject, &r, b.followAll), b.startAlone(ctx, subject, &r, nil))
		default:
			err = errors.Join(b.startAlone(ctx, subject, &r, nil), b.startAgain(ctx, subject, &r, b.followAll))
		}
		if err != nil {
			return fmt.Errorf("endpoints, %s: %w", subject.name, err)
		}
		b.results = append(b.results, r)
	}
	return nil
}

// meanwhile is what is done while a subject runs, nil for nothing.
type meanwhile func(context.Context, *process.Process, endpointsSubject, *endpointsResult) error

// startAlone starts the subject where there are no slices and no Endpoints.
func (b *endpointsBench) startAlone(ctx context.Context, subject endpointsSubject, r *endpointsResult, then meanwhile) error {
	progress("endpoints  %-40s start without slices", subject.name)
	b.seen.stop()
	err := errors.Join(b.wipe(ctx, b.seen.notReady()), b.awaitIdle(ctx))
	if err != nil {
		return err
	}
	if b.seen, err = b.watchReadiness(ctx); err != nil {
		return err
	}
	return b.started(ctx, subject, subject.patience(), r, &r.Cold, then)
}

// startAgain starts the subject where all slices are there, but for the readiness
// of a few pods.
func (b *endpointsBench) startAgain(ctx context.Context, subject endpointsSubject, r *endpointsResult, then meanwhile) error {
	progress("endpoints  %-40s start with slices", subject.name)
	if err := b.changeMeanwhile(ctx); err != nil {
		return err
	}
	return b.started(ctx, subject, fullPatience, r, &r.Warm, then)
}

// followAll has the subject follow changes.
func (b *endpointsBench) followAll(ctx context.Context, p *process.Process, subject endpointsSubject, r *endpointsResult) (err error) {
	for _, phase := range []struct {
		rate  int
		large bool
		into  *changesResult
	}{{slowRate, true, &r.InLarge}, {slowRate, false, &r.Slow}, {fastRate, false, &r.Fast}} {
		where := ""
		if phase.large {
			where = " in one Service"
		}
		progress("endpoints  %-40s %d changes/s%s", subject.name, phase.rate, where)
		if *phase.into, err = b.follow(ctx, p, subject, phase.rate, phase.large); err != nil {
			return errors.Join(err, p.Alive())
		}
		l := phase.into.Latency
		progress("endpoints  %-40s p50 %s ms, p99 %s ms, CPU %s ms", subject.name, number(l.P50), number(l.P99), number(phase.into.CPU))
	}
	r.PeakBytes, err = p.PeakMemory()
	return err
}

func (b *endpointsBench) changeMeanwhile(ctx context.Context) error {
	for range min(madeMeanwhile, b.services) {
		pod := b.next(b.seen, false)
		if pod == nil {
			break
		}
		change := b.seen.turn(pod.Name)
		if err := b.write(ctx, pod.Name, change.ready); err != nil {
			return err
		}
	}
	return b.awaitIdle(ctx)
}

// started runs the subject until all that is to be written at its start has been,
// or patience is over, and then as long as something is done.
func (b *endpointsBench) started(
	ctx context.Context, subject endpointsSubject, patience time.Duration, r *endpointsResult, into *startResult, then meanwhile,
) error {
	before, err := b.writes(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	p, err := b.run(subject)
	if err != nil {
		return err
	}
	defer p.Stop(endPatience)
	if err := b.awaitStart(ctx, p, subject, patience, began, into); err != nil {
		return err
	}
	after, err := b.writes(ctx)
	if err != nil {
		return err
	}
	into.Writes = difference(before, after)
	cpu, err := p.CPU()
	if err != nil {
		return err
	}
	into.CPU = milliseconds(cpu)
	if into.PeakBytes, err = p.PeakMemory(); err != nil {
		return err
	}
	progress("endpoints  %-40s %s ms, CPU %s ms", subject.name, number(into.Slices), number(into.CPU))
	if then == nil {
		return nil
	}
	return then(ctx, p, subject, r)
}

func (b *endpointsBench) awaitStart(
	ctx context.Context, p *process.Process, subject endpointsSubject, patience time.Duration, began time.Time, into *startResult,
) error {
	err := until(ctx, patience, func() (bool, error) {
		right, all, since, err := b.seen.progress()
		into.Right, into.Pods = right, all
		into.Slices = milliseconds(time.Since(began))
		if !since.IsZero() {
			into.Slices = milliseconds(since.Sub(began))
		}
		return right == all, errors.Join(err, p.Alive())
	})
	switch {
	case errors.Is(err, errPatience) && subject.throttled && patience == shortPatience:
		return nil
	case err != nil:
		return fmt.Errorf("%d of %d pods are in slices as they should be: %w", into.Right, into.Pods, err)
	}
	err = until(ctx, patience, func() (bool, error) {
		n, err := b.store.count(ctx, "services/endpoints/"+namespace+"/")
		into.All = milliseconds(time.Since(began))
		return n == b.services+1, errors.Join(err, p.Alive())
	})
	return errors.Join(err, b.settle(ctx, subject))
}

func (b *endpointsBench) run(subject endpointsSubject) (*process.Process, error) {
	here, err := netns.Current()
	if err != nil {
		return nil, err
	}
	defer func() { _ = here.Close() }()
	command := exec.Command(subject.program, append([]string{"--kubeconfig=" + b.kubeconfig}, subject.args...)...)
	return process.Start(command, here, filepath.Join(b.dir, filepath.Base(subject.program)+".log"))
}

var errPatience = errors.New("not so within the time it is given")

// until looks again and again whether something is so.
func until(ctx context.Context, patience time.Duration, so func() (bool, error)) error {
	for deadline := time.Now().Add(patience); ; {
		if yes, err := so(); yes || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errPatience
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

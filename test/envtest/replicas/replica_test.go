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

package replicas

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/test/testenv/managers"
	"switchyard.dev/switchyard/test/testenv/ports"
	"switchyard.dev/switchyard/webhooks"
)

// fleet is the replicas behind one front.
type fleet struct {
	t      *testing.T
	config *rest.Config
	mode   allocator.Mode
	ports  allocator.PortSpan
	certs  string
	front  *managers.Front
	// ahead is what the replicas' clocks are ahead of the machine's, in ns.
	ahead atomic.Int64
	// lethal is how many claims it takes on average to end a replica; 0 for none.
	lethal atomic.Int64
	deaths atomic.Int64
}

func (f *fleet) now() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }

// replica is a manager of its own: cache, index, webhook and controllers.
type replica struct {
	fleet   *fleet
	address string
	index   *allocator.Services
	cancel  context.CancelFunc
	stopped chan struct{}
	dead    chan struct{}
	died    atomic.Bool
}

// start returns when the replica serves.
func (f *fleet) start() (*replica, error) {
	port, err := ports.Free()
	if err != nil {
		return nil, err
	}
	r := &replica{
		fleet: f, address: fmt.Sprintf("127.0.0.1:%d", port), index: allocator.NewServices(f.ports),
		stopped: make(chan struct{}), dead: make(chan struct{}),
	}
	lease, renew, retry := 4*time.Second, 3*time.Second, 500*time.Millisecond
	mgr, err := ctrl.NewManager(f.config, ctrl.Options{
		Scheme:         scheme,
		Metrics:        metricsserver.Options{BindAddress: "0"},
		Controller:     config.Controller{SkipNameValidation: new(true)},
		WebhookServer:  speaking{webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, CertDir: f.certs})},
		LeaderElection: true, LeaderElectionID: "replicas", LeaderElectionNamespace: systemNamespace,
		LeaseDuration: &lease, RenewDeadline: &renew, RetryPeriod: &retry,
	})
	if err != nil {
		return nil, err
	}
	reconciler := &controllers.AllocationReconciler{Index: r.index, Namespace: systemNamespace, Now: f.now}
	err = errors.Join(reconciler.SetupWithManager(mgr), webhooks.SetupServiceAllocationWebhook(mgr, &webhooks.ServiceAllocation{
		Mode: f.mode, Index: r.index, Namespace: systemNamespace, Now: f.now,
		Exempt: webhooks.Exemptions{Namespace: systemNamespace},
		Client: mortal{mgr.GetClient(), r},
	}))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.stopped)
		if err := mgr.Start(ctx); err != nil {
			f.t.Logf("a replica ended: %v", err) // a leader that lost its lease, too
		}
	}()
	for begin := time.Now(); mgr.GetWebhookServer().StartedChecker()(nil) != nil || !r.index.Ready(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > patience {
			r.stop()
			return nil, errors.New("a replica did not start in time")
		}
	}
	f.front.Add(r.address)
	return r, nil
}

func (r *replica) stop() {
	r.fleet.front.Remove(r.address)
	r.cancel()
	<-r.stopped
}

// die is what kill -9 looks like from outside: connections end without an
// answer, and nothing is cleaned up.
func (r *replica) die() {
	if r.died.CompareAndSwap(false, true) {
		r.fleet.deaths.Add(1)
		r.fleet.front.Remove(r.address)
		close(r.dead)
	}
}

// mortal is the client of a replica that may die right after a claim was made:
// between choosing a number and the write of the Service.
type mortal struct {
	client.Client
	replica *replica
}

func (m mortal) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	if m.replica.died.Load() {
		return errors.New("this replica is dead")
	}
	err := m.Client.Create(ctx, object, options...)
	if _, claim := object.(*coordinationv1.Lease); claim && err == nil {
		if odds := m.replica.fleet.lethal.Load(); odds > 0 && rand.Int64N(odds) == 0 {
			m.replica.die()
			return errors.New("this replica has died")
		}
	}
	return err
}

func (m mortal) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	if m.replica.died.Load() {
		return errors.New("this replica is dead")
	}
	return m.Client.Delete(ctx, object, options...)
}

// keep runs a replica, and another when it has died, until ctx ends. One that leads
// ends by itself when a busy machine does not let it renew its lease.
func (f *fleet) keep(ctx context.Context, first *replica) error {
	for r := first; ; {
		select {
		case <-ctx.Done():
			r.stop()
			return nil
		case <-r.dead:
		case <-r.stopped:
		}
		r.stop()
		next, err := f.start()
		if err != nil {
			return err
		}
		r = next
	}
}

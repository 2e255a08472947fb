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

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/internal/localcluster/layout"
)

// errDown ends a cluster as its user asked.
var errDown = errors.New("the cluster was told to end")

// maxEnds is how often a process may end while the cluster starts: some give
// up at once when what they need is a moment late.
const maxEnds = 3

// Supervisor runs one cluster.
type Supervisor struct {
	config      Config
	cluster     layout.Cluster
	events      *control.Events
	log         logr.Logger
	network     *network
	credentials *credentials
	// admin may do everything at the API server.
	admin  *rest.Config
	client client.Client
	// end ends the cluster, for that reason.
	end context.CancelCauseFunc

	mu         sync.Mutex
	components []*component
	ready      bool
}

// Run brings the cluster up and keeps it until it is told to end. It never
// cleans up: its end does.
func Run(encoded string) error {
	config, err := Decode(encoded)
	if err != nil {
		return err
	}
	cluster, err := layout.New(config.Nodes, config.Zones)
	if err != nil {
		return err
	}
	files := inherit()
	defer func() { _ = files.Lock.Close() }()
	log := zap.New(zap.UseDevMode(false), zap.WriteTo(os.Stderr))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	ctx, end := context.WithCancelCause(ctrl.LoggerInto(context.Background(), log))
	s := &Supervisor{config: config, cluster: cluster, events: control.NewEvents(files.Events), log: log, end: end}
	if err := s.listen(ctx, files); err != nil {
		return err
	}
	return s.run(ctx)
}

// listen takes up what the machine's side handed down.
func (s *Supervisor) listen(ctx context.Context, files Inherited) error {
	api, err := listener(files.API)
	if err != nil {
		return err
	}
	commands, err := listener(files.Control)
	if err != nil {
		return err
	}
	server := &control.Server{Status: s.Status, Down: func() { s.end(errDown) }}
	go func() { _ = server.Serve(commands) }()
	go proxy(ctx, api, s.apiServerAddress())
	go s.watchLifeline(files.Lifeline)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	go func() {
		<-signals
		s.end(errDown)
	}()
	return nil
}

// watchLifeline ends the cluster with the `switchyard up` that started it,
// unless that has let go of it with a byte.
func (s *Supervisor) watchLifeline(lifeline *os.File) {
	if n, _ := lifeline.Read(make([]byte, 1)); n == 0 {
		s.end(errors.New("`switchyard up` has ended"))
	}
}

func (s *Supervisor) run(ctx context.Context) error {
	began := time.Now()
	if err := s.startWithin(ctx, s.config.Wait); err != nil {
		s.log.Error(err, "The cluster did not come up")
		s.events.Send(control.Event{Kind: control.Failed, Detail: err.Error(), Elapsed: time.Since(began)})
		return err
	}
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	s.log.Info("The cluster is ready", "took", time.Since(began).String())
	s.events.Send(control.Event{Kind: control.Ready, Elapsed: time.Since(began)})
	<-ctx.Done()
	s.log.Info("The cluster ends", "reason", context.Cause(ctx).Error())
	return nil
}

func (s *Supervisor) startWithin(ctx context.Context, limit time.Duration) error {
	starting, stop := context.WithTimeoutCause(ctx, limit, &lateError{limit: limit})
	defer stop()
	return s.start(ctx, starting)
}

// start brings everything up, as much as possible at a time. What it leaves
// running ends with ctx; the waiting ends with starting.
func (s *Supervisor) start(ctx, starting context.Context) error {
	if err := s.step(starting, "networks and certificates", s.prepare); err != nil {
		return err
	}
	s.launch(ctx, s.process(etcdName, s.config.Binaries.Etcd, s.etcdArgs()))
	s.launch(ctx, s.process(apiServerName, s.config.Binaries.APIServer, s.apiServerArgs()))
	if err := s.step(starting, apiServerName, s.apiServerReady); err != nil {
		return err
	}
	all, starting := errgroup.WithContext(starting)
	all.Go(func() error { return s.startControllers(ctx, starting) })
	all.Go(func() error { return s.startNodes(ctx, starting) })
	if s.config.Software.WithSuite() {
		all.Go(func() error { return s.startSuite(ctx, starting) })
	}
	if s.config.Software.WithKubeProxy() {
		all.Go(func() error { return s.startKubeProxy(starting) })
	}
	return all.Wait()
}

// prepare makes what needs no process.
func (s *Supervisor) prepare(context.Context, *step) error {
	var err error
	for _, dir := range []string{"etcd", "tmp"} {
		if err := os.MkdirAll(s.runDir(dir), 0o700); err != nil {
			return err
		}
	}
	if s.network, err = buildNetwork(s.cluster, s.config.State.Namespaces()); err != nil {
		return err
	}
	if s.credentials, err = newCredentials(s.runDir("pki"), s.cluster); err != nil {
		return err
	}
	return s.admit()
}

// admit makes the administrator's access: for the machine, and for Run.
func (s *Supervisor) admit() error {
	pair, err := s.credentials.ca.Client("switchyard-admin", "system:masters")
	if err != nil {
		return err
	}
	ca := s.credentials.ca.CertPEM()
	outside, err := kubeconfig(s.server(), ca, user{pair: pair})
	if err != nil {
		return err
	}
	if err := s.config.State.WriteKubeconfig(outside); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	s.admin = restConfig("https://"+s.apiServerAddress(), ca, user{pair: pair})
	return nil
}

// server is the API server's URL on the machine.
func (s *Supervisor) server() string { return fmt.Sprintf("https://127.0.0.1:%d", s.config.Port) }

// apiServerAddress is the API server's address in the cluster.
func (s *Supervisor) apiServerAddress() string {
	return fmt.Sprintf("%s:%d", s.cluster.ControlPlane().IPs()[0], apiServerPort)
}

// runDir is a directory in the private tmpfs.
func (s *Supervisor) runDir(elem ...string) string {
	return filepath.Join(append([]string{s.config.State.Run()}, elem...)...)
}

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
	"net"
	"net/http"
	"os"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/version"
)

// component is the source of Events and the user agent.
const component = "switchyard-node"

// run programs the node until ctx ends. Everything that can be found wrong
// before the first packet is, before it.
func run(ctx context.Context, options *Options) error {
	log := zap.New(zap.UseFlagOptions(&options.Zap))
	ctrllog.SetLogger(log)
	klog.SetLogger(log.WithName("client-go"))
	ctx = ctrllog.IntoContext(ctx, log)

	if len(options.ignored) > 0 {
		log.Info("Some keys of the configuration file mean nothing to this program and are ignored",
			"config", options.Config, "keys", options.ignored)
	}
	nodeName, err := options.nodeName()
	if err != nil {
		return err
	}
	client, err := newClient(options)
	if err != nil {
		return err
	}
	kernel, err := openKernel(ctx)
	if err != nil {
		return err
	}
	metrics := health.NewMetrics(version.String())
	state := health.NewState(health.Patience, kernel.families...)
	servers, err := listen(options, state, metrics)
	if err != nil {
		return err
	}
	options.Conntrack.apply(log)
	nodeOptions, err := options.node()
	if err != nil {
		return err
	}
	recorder, stopEvents := newRecorder(client, nodeName)
	defer stopEvents()
	log.Info("Starting", "version", version.String(), "node", nodeName, "families", fmt.Sprint(kernel.families))
	programmer := agent.New(agent.Config{
		NodeName: nodeName, Client: client, Recorder: recorder, Tables: kernel.tables, Cleaner: kernel.cleaner, Watcher: kernel.watcher,
		Node: nodeOptions, State: state, Metrics: metrics,
	})
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range servers {
		group.Go(func() error { return health.Serve(ctx, s.listener, s.handler) })
	}
	group.Go(func() error { return programmer.Run(ctx) })
	err = group.Wait()
	log.Info("Stopped; the rules stay and keep forwarding")
	return err
}

func newClient(options *Options) (kubernetes.Interface, error) {
	config, err := restConfig(options.Kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = options.APIQPS, options.APIBurst
	config.UserAgent = component + "/" + version.String()
	// Slices are most of what a node reads; protobuf takes a fraction of the
	// time to decode.
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = config.ContentType + ",application/json"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	return client, nil
}

func restConfig(path string) (*rest.Config, error) {
	if path == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("this is not a pod of a cluster (%w): give --kubeconfig", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig=%s: %w: give the path of a kubeconfig that this user can read", path, err)
	}
	return config, nil
}

// kernel is what we hold of the kernel.
type kernel struct {
	families []model.Family
	tables   map[model.Family]agent.Table
	cleaner  *conntrack.Cleaner
	watcher  *nft.Watcher
}

// openKernel finds out whether the kernel and our privileges are enough.
func openKernel(ctx context.Context) (kernel, error) {
	k := kernel{families: families(), tables: map[model.Family]agent.Table{}}
	if len(k.families) == 1 {
		ctrllog.FromContext(ctx).Info("This kernel has no IPv6, only IPv4 is programmed")
	}
	var tables []*nft.Table
	for _, family := range k.families {
		table, err := nft.Open(family, nft.Options{})
		if err != nil {
			return k, err
		}
		k.tables[family] = table
		tables = append(tables, table)
	}
	var err error
	if k.watcher, err = nft.Watch(tables...); err != nil {
		return k, err
	}
	k.cleaner, err = conntrack.NewCleaner()
	return k, err
}

// families are those of the kernel: without IPv6 there is no such file.
func families() []model.Family {
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		return []model.Family{model.IPv4}
	}
	return []model.Family{model.IPv4, model.IPv6}
}

type server struct {
	listener net.Listener
	handler  http.Handler
}

func listen(options *Options, state *health.State, metrics *health.Metrics) ([]server, error) {
	var servers []server
	for _, s := range []struct {
		flag, address string
		handler       http.Handler
	}{
		{"healthz-bind-address", options.HealthzBindAddress, health.Mux(state, metrics)},
		{"metrics-bind-address", options.MetricsBindAddress, health.MetricsMux(metrics)},
	} {
		if s.address == "" {
			continue
		}
		listener, err := health.Listen(s.flag, s.address)
		if err != nil {
			return nil, err
		}
		servers = append(servers, server{listener, s.handler})
	}
	return servers, nil
}

// newRecorder limits the Events about one object to a burst of 25, then one
// every five minutes, which are client-go's defaults.
func newRecorder(client kubernetes.Interface, nodeName string) (recorder record.EventRecorder, stop func()) {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	source := corev1.EventSource{Component: component, Host: nodeName}
	return broadcaster.NewRecorder(scheme.Scheme, source), broadcaster.Shutdown
}

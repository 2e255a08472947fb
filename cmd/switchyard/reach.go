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
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"switchyard.dev/switchyard/internal/localcluster"
	"switchyard.dev/switchyard/internal/localcluster/state"
	"switchyard.dev/switchyard/internal/lookup"
	"switchyard.dev/switchyard/internal/trace"
)

// reach is how a cluster is reached from here.
type reach struct {
	config *rest.Config
	// namespace is that of the context.
	namespace string
	// local is set for the local cluster, whose networks can be entered.
	local *state.Dir
}

// reach takes the kubeconfig given, or that of KUBECONFIG, or that of the local
// cluster that is running, or the one that kubectl would take. A plugin of kubectl
// asks whom kubectl asks.
func (f clusterFlags) reach() (reach, error) {
	// What client-go has to tell would come between the lines of an answer; errors
	// are returned to us as well.
	klog.SetLogger(logr.Discard())
	var r reach
	chosen := cmp.Or(f.kubeconfig, os.Getenv(clientcmd.RecommendedConfigPathEnvVar))
	if dir, err := stateDir(); err == nil && f.context == "" && (chosen == "" && !isPlugin(os.Args[0]) || chosen == dir.Kubeconfig()) {
		if _, err := localcluster.Running(dir); err == nil {
			r.local, f.kubeconfig = &dir, dir.Kubeconfig()
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context})
	var err error
	r.config, err = config.ClientConfig()
	empty := clientcmd.IsEmptyConfig(err) || errors.Is(err, rest.ErrNotInCluster)
	if empty && chosen != "" {
		return r, fmt.Errorf("the kubeconfig %s names no cluster: give another with --kubeconfig, or leave it and KUBECONFIG out", chosen)
	}
	if empty {
		return r, errors.New("no cluster to ask: start one with `switchyard up`, or give --kubeconfig")
	}
	if err != nil {
		return r, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	// A list each of a few kinds: no reason to wait.
	r.config.QPS, r.config.Burst = 50, 100
	namespace, _, _ := config.Namespace()
	r.namespace = cmp.Or(namespace, corev1.NamespaceDefault)
	return r, nil
}

// try makes the connection of an answer, as far as this machine can.
func (o *traceOptions) try(ctx context.Context, cluster reach, objects trace.Objects, asked trace.Asked, a trace.Answer) (*trace.Report, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the switchyard program: %w", err)
	}
	live := trace.Live{Self: self, Timeout: o.timeout}
	if cluster.local != nil {
		live.Node, live.Source, err = placesInside(ctx, *cluster.local, asked)
	} else {
		live.Node, live.Source, err = o.placesHere(objects, asked)
	}
	if err != nil {
		return nil, err
	}
	return live.Try(ctx, a)
}

// placesInside are networks of the local cluster.
func placesInside(ctx context.Context, dir state.Dir, asked trace.Asked) (node, source trace.Place, err error) {
	if node, err = localcluster.OfNode(dir, asked.Node); err != nil {
		return nil, nil, err
	}
	switch asked.Source.Kind {
	case lookup.Pod:
		source, err = localcluster.OfPod(ctx, dir, asked.Source.Namespace, asked.Source.Name)
	case lookup.Node:
		source, err = localcluster.OfNode(dir, asked.Source.Node)
	case lookup.Outside:
		addrs := (reach{local: &dir}).outside()
		if !slices.Contains(addrs, asked.Source.Addrs[0]) {
			return nil, nil, fmt.Errorf("nobody in the local cluster has the address %s: say --from outside for %s", asked.Source.Addrs[0], addrs[0])
		}
		source, err = localcluster.Outside(dir)
	}
	return node, source, err
}

// placesHere are this machine's network and those in it, if it is the node.
func (o *traceOptions) placesHere(objects trace.Objects, asked trace.Asked) (node, source trace.Place, err error) {
	here := localcluster.Network{}
	switch {
	case !isHere(objects, asked.Node):
		return nil, nil, fmt.Errorf("this machine is not %s: run the command there, as root", asked.Node)
	case os.Geteuid() != 0:
		return nil, nil, errors.New("following packets takes root")
	case asked.Source.Node == asked.Node && (asked.Source.Kind == lookup.Node || asked.Source.HostNetwork):
		return here, here, nil
	case asked.Source.Kind == lookup.Pod && o.netns != "":
		return here, localcluster.Network{Path: o.netns}, nil
	case asked.Source.Kind == lookup.Pod:
		return nil, nil, errors.New("say with --netns where the pod's network is: " +
			"/proc/PID/ns/net of one of its processes, or a file in /var/run/netns (`crictl inspectp` names it)")
	}
	return nil, nil, errors.New("only connections from the node or a pod on it can be made here")
}

// isHere says whether the machine has an address of the node.
func isHere(objects trace.Objects, node string) bool {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, address := range objects.NodeAddresses(node) {
		if slices.ContainsFunc(own, func(a net.Addr) bool { return hasAddress(a, address) }) {
			return true
		}
	}
	return false
}

func hasAddress(a net.Addr, address netip.Addr) bool {
	text, _, _ := strings.Cut(a.String(), "/")
	own, err := netip.ParseAddr(text)
	return err == nil && own.Unmap() == address
}

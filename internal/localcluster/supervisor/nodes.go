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
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/runner"
)

// startNodes runs a kubelet's part for every node, in this process, and waits
// until all nodes are ready.
func (s *Supervisor) startNodes(ctx, starting context.Context) error {
	return s.step(starting, nodesStepName(len(s.cluster.Nodes)), func(starting context.Context, st *step) error {
		for _, node := range s.cluster.Nodes {
			config, err := s.runnerConfig(node)
			if err != nil {
				return fmt.Errorf("configuring %s: %w", node.Name, err)
			}
			go s.keepRunning(ctx, "runner@"+node.Name, runner.New(config).Run)
		}
		return st.until(starting, s.nodesReady)
	})
}

func nodesStepName(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}

// runnerConfig gives the node's runner a kubelet's rights, and no more: the
// Node authorizer and NodeRestriction judge it.
func (s *Supervisor) runnerConfig(node layout.Node) (runner.Config, error) {
	pair, err := s.credentials.ca.Client("system:node:"+node.Name, "system:nodes")
	if err != nil {
		return runner.Config{}, err
	}
	serving, err := s.credentials.kubelet(node)
	if err != nil {
		return runner.Config{}, err
	}
	labels := map[string]string{}
	if node.Zone != "" {
		labels[corev1.LabelTopologyZone] = node.Zone
	}
	return runner.Config{
		NodeName:      node.Name,
		Labels:        labels,
		NodeIPs:       node.IPs(),
		PodCIDRs:      node.PodCIDRs,
		REST:          restConfig("https://"+s.apiServerAddress(), s.credentials.ca.CertPEM(), user{pair: pair}),
		Namespace:     s.network.nodes[node.Name],
		NamespaceDir:  s.config.State.Namespaces(),
		StateDir:      s.config.State.Node(node.Name),
		ClusterDomain: layout.ClusterDomain,
		DNSAddrs:      layout.DNSAddrs(),
		ServingCert:   serving,
		ClientCAs:     s.credentials.ca.Pool(),
		Images:        s.config.Images,
		Log:           s.log.WithName("runner"),
	}, nil
}

// keepRunning runs a part of this process again when it ends, until ctx does.
// One that fails while the cluster starts makes the start fail.
func (s *Supervisor) keepRunning(ctx context.Context, name string, run func(context.Context) error) {
	delay := firstDelay
	for ctx.Err() == nil {
		started := time.Now()
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		if !s.isReady() {
			s.end(fmt.Errorf("%s: %w", name, err))
			return
		}
		s.log.Error(err, "Part ended", "part", name, "restartIn", delay.String())
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
		delay = nextDelay(delay, time.Since(started))
	}
}

// nodesReady is the condition that every node says it is ready.
func (s *Supervisor) nodesReady(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var list corev1.NodeList
	if err := s.client.List(ctx, &list); err != nil {
		return err.Error()
	}
	ready := map[string]bool{}
	for _, node := range list.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				ready[node.Name] = condition.Status == corev1.ConditionTrue
			}
		}
	}
	var missing []string
	for _, node := range s.cluster.Nodes {
		if !ready[node.Name] {
			missing = append(missing, node.Name)
		}
	}
	return strings.Join(missing, ", ")
}

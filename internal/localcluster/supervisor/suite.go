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
	"net/http"

	"golang.org/x/sync/errgroup"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/manifests"
)

// What the install manifests call things.
const (
	suiteNamespace = "switchyard-system"
	managerName    = "switchyard-manager"
	agentName      = "switchyard-node"
	webhookService = "switchyard-webhook-service"
)

// Ports of the suite's processes on their nodes. The manager's are not its
// defaults, 8081 and 8443: pods on the first node's network may want those.
const (
	managerHealthPort = 9440
	webhookPort       = 9443
	agentHealthPort   = 10256
)

// ManagerMetricsPort is where the manager serves its metrics, on the loopback device
// of the first node.
const ManagerMetricsPort = 9441

// startSuite installs and starts what this project is, as an operator would,
// with the accounts and roles of the install manifests: the manager and an
// agent per node as processes, because pods need them, and DNS as pods.
func (s *Supervisor) startSuite(ctx, starting context.Context) error {
	parsed, err := parseManifests(manifests.Install)
	if err != nil {
		return err
	}
	if err := runProgram(parsed.objects, dnsProgram, s.config.Binaries.DNS); err != nil {
		return err
	}
	if err := s.step(starting, "install manifests", func(starting context.Context, _ *step) error {
		return s.install(starting, parsed)
	}); err != nil {
		return err
	}
	parts, partsStarting := errgroup.WithContext(starting)
	parts.Go(func() error {
		return s.step(partsStarting, managerName, func(starting context.Context, st *step) error {
			return s.startManager(ctx, starting, st)
		})
	})
	parts.Go(func() error {
		return s.step(partsStarting, agentName+s.onNodes(), func(starting context.Context, st *step) error {
			return s.startAgents(ctx, starting, st)
		})
	})
	if err := parts.Wait(); err != nil {
		return err
	}
	if err := s.step(starting, "admission webhooks", s.admissionReady); err != nil {
		return err
	}
	return s.step(starting, dnsProgram+s.onNodes(), func(starting context.Context, st *step) error {
		return st.until(starting, s.namesResolved)
	})
}

// install applies the manifests, and the endpoints of the Services that no
// selector can give any: these are not pods.
func (s *Supervisor) install(ctx context.Context, parsed installation) error {
	if err := apply(ctx, s.client, parsed.objects...); err != nil {
		return err
	}
	if err := established(ctx, s.client, parsed.objects); err != nil {
		return err
	}
	if err := s.installPool(ctx); err != nil {
		return err
	}
	if err := s.pointAtFirstNode(ctx, suiteNamespace, webhookService); err != nil {
		return err
	}
	return apply(ctx, s.client, parsed.webhooks...)
}

func (s *Supervisor) startManager(ctx, starting context.Context, st *step) error {
	access, err := s.tokenAccess(starting, managerName, managerName)
	if err != nil {
		return err
	}
	node := s.cluster.ControlPlane()
	s.launch(ctx, s.process(managerName, s.config.Binaries.Manager, []string{
		"--kubeconfig=" + access,
		"--allocation=authoritative",
		"--endpoints=all",
		"--loadbalancer-default=true", // there is no other
		"--webhooks=on",
		fmt.Sprintf("--webhook-port=%d", webhookPort),
		fmt.Sprintf("--health-probe-bind-address=:%d", managerHealthPort),
		fmt.Sprintf("--metrics-bind-address=127.0.0.1:%d", ManagerMetricsPort),
		"--metrics-secure=false", // as the agents' on their loopback device
	}))
	return st.until(starting, healthy(http.DefaultClient, fmt.Sprintf("http://%s:%d/readyz", node.IPs()[0], managerHealthPort)))
}

// onNodes ends the name of a step of something that each node has.
func (s *Supervisor) onNodes() string {
	if n := len(s.cluster.Nodes); n > 1 {
		return fmt.Sprintf(" on %d nodes", n)
	}
	return ""
}

// agentOn is the name of the agent's process and log on that node.
func agentOn(node layout.Node) string { return agentName + "@" + node.Name }

func (s *Supervisor) startAgents(ctx, starting context.Context, st *step) error {
	for _, node := range s.cluster.Nodes {
		access, err := s.nodeTokenAccess(ctx, starting, agentOn(node), agentName, node.Name)
		if err != nil {
			return err
		}
		s.launch(ctx, s.processOn(node, agentOn(node), s.config.Binaries.NodeAgent, []string{
			"--kubeconfig=" + access,
			"--hostname-override=" + node.Name,
			// By the range of all pods, those of other nodes would pass for local
			// ones, whom traffic policy Local does not bind.
			"--detect-local-mode=NodeCIDR",
			"--count-connections", // for `switchyard top`
			"--announce=l2",       // load balancers' addresses, to who is outside
		}))
	}
	for _, node := range s.cluster.Nodes {
		url := fmt.Sprintf("http://%s:%d/readyz", node.IPs()[0], agentHealthPort)
		if err := st.until(starting, healthy(http.DefaultClient, url)); err != nil {
			return err
		}
	}
	return nil
}

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
	"os"
	"path/filepath"

	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/version"
)

// process is a component on the first node.
func (s *Supervisor) process(name, path string, args []string) *component {
	return s.processOn(s.cluster.ControlPlane(), name, path, args)
}

func (s *Supervisor) processOn(node layout.Node, name, path string, args []string) *component {
	return &component{
		name: name, node: node.Name, namespace: s.network.nodes[node.Name],
		path: path, args: args, env: s.environment(),
		logPath: s.config.State.Log(name), log: s.log, exited: s.noteExit,
	}
}

// environment is all that a process sees of the user's: a proxy or a
// kubeconfig that is meant for other programs must not lead it astray.
func (s *Supervisor) environment() []string {
	env := []string{"TMPDIR=" + s.runDir("tmp")}
	for _, name := range []string{"PATH", "HOME", "LANG", "TZ", "GOMAXPROCS", "GOCOVERDIR"} {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// launch starts the component and keeps it running until ctx ends.
func (s *Supervisor) launch(ctx context.Context, c *component) {
	s.mu.Lock()
	s.components = append(s.components, c)
	s.mu.Unlock()
	go c.run(ctx)
}

// noteExit gives up a start in which the same process keeps ending.
func (s *Supervisor) noteExit(c *component, ends int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready || ends < maxEnds {
		return
	}
	s.end(fmt.Errorf("%s ended %d times while the cluster was starting (%s); the end of %s:\n%s",
		c.name, ends, reason, c.logPath, tail(c.logPath)))
}

// access writes a kubeconfig for a component and returns its path.
func (s *Supervisor) access(name string, u user) (string, error) {
	data, err := kubeconfig("https://"+s.apiServerAddress(), s.credentials.ca.CertPEM(), u)
	if err != nil {
		return "", err
	}
	path := s.runDir("kubeconfigs", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, data, 0o600)
}

func (s *Supervisor) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

// Status is what `switchyard status` shows.
func (s *Supervisor) Status() control.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := control.Status{
		Ready: s.ready, Server: s.server(), Version: version.String(), Kubeconfig: s.config.State.Kubeconfig(),
	}
	for _, n := range s.cluster.Nodes {
		status.Nodes = append(status.Nodes, control.Node{Name: n.Name, Zone: n.Zone, IPs: n.IPs(), PodCIDRs: n.PodCIDRs})
	}
	for _, c := range s.components {
		status.Processes = append(status.Processes, c.current())
	}
	return status
}

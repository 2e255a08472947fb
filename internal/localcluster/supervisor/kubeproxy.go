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
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"text/template"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/manifests"
)

const kubeProxyName = "kube-proxy"

// startKubeProxy installs kube-proxy as kubeadm does, and waits until each node
// leads connections to the API server's ClusterIP. It is a DaemonSet on the
// nodes' network, so that whoever replaces it does so as on any other cluster.
func (s *Supervisor) startKubeProxy(starting context.Context) error {
	return s.step(starting, kubeProxyName+s.onNodes(), func(starting context.Context, st *step) error {
		text, err := s.kubeProxyManifests()
		if err != nil {
			return err
		}
		parsed, err := parseManifests(text)
		if err != nil {
			return err
		}
		if err := apply(starting, s.client, parsed.objects...); err != nil {
			return err
		}
		for _, node := range s.cluster.Nodes {
			if err := st.until(starting, func(ctx context.Context) string { return s.servicesLead(ctx, node) }); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Supervisor) kubeProxyManifests() (string, error) {
	parsed, err := template.New(kubeProxyName).Funcs(template.FuncMap{"json": inJSON}).Parse(manifests.KubeProxy)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = parsed.Execute(&text, struct{ Program, Path, Mode, Server, PodCIDRs string }{
		Program: s.config.Binaries.KubeProxy, Path: os.Getenv("PATH"), Mode: s.config.Software.KubeProxy,
		Server: "https://" + s.apiServerAddress(), PodCIDRs: layout.PodCIDRs,
	})
	return text.String(), err
}

// inJSON makes any text one YAML string.
func inJSON(text string) (string, error) {
	quoted, err := json.Marshal(text)
	return string(quoted), err
}

// servicesLead is the condition that processes of the node get somewhere by the
// API server's ClusterIP.
func (s *Supervisor) servicesLead(ctx context.Context, node layout.Node) string {
	// Before there are rules a packet is lost, and the next one sent a second later.
	ctx, cancel := context.WithTimeout(ctx, probeTimeout/4)
	defer cancel()
	address := net.JoinHostPort(layout.APIServerVIPs()[0].String(), "443")
	err := s.network.nodes[node.Name].Do(func() error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		return fmt.Sprintf("Service default/kubernetes at %s, asked from %s: %v", address, node.Name, err)
	}
	return ""
}

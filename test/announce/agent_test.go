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

package announce

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"switchyard.dev/switchyard/test/testenv/process"
)

// program is the agent; the variable is for who has built another one.
func program() string {
	if path := os.Getenv("SWITCHYARD_NODE"); path != "" {
		return path
	}
	return process.Built("switchyard-node")
}

// start starts the node's agent, with more flags if need be, and does not wait.
func (n *node) start(flags ...string) {
	n.Helper()
	n.agent = process.Run(n, exec.Command(program(), append(flags, "--kubeconfig="+n.kubeconfig(), "--hostname-override="+n.name, "--announce=l2", "--v=2",
		"--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249")...), n.ns)
}

// metric is the value of one of the agent's metrics, empty for none.
func (n *node) metric(name string) (value string) {
	n.Helper()
	n.in(n.ns, func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:10249")
		if err != nil {
			return nil // not yet
		}
		defer func() { _ = conn.Close() }()
		if _, err := fmt.Fprint(conn, "GET /metrics HTTP/1.0\r\n\r\n"); err != nil {
			return err
		}
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
				value = rest
			}
		}
		return nil
	})
	return value
}

// kubeconfig leads to the API server by the node's gate.
func (n *node) kubeconfig() string {
	n.Helper()
	path := filepath.Join(n.TempDir(), "kubeconfig")
	kc := clientcmdapi.NewConfig()
	kc.Clusters["test"] = &clientcmdapi.Cluster{Server: n.gate.url(), CertificateAuthorityData: n.config.CAData}
	kc.AuthInfos["test"] = &clientcmdapi.AuthInfo{Token: n.token(n.name)}
	kc.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	kc.CurrentContext = "test"
	if err := clientcmd.WriteToFile(*kc, path); err != nil {
		n.Fatal(err)
	}
	return path
}

// late is for what is cleaned up after the test.
func (*bed) late() context.Context { return context.Background() }

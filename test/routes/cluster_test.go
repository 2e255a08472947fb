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

package routes

import (
	"io"
	"net"
	"net/url"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"switchyard.dev/switchyard/test/testenv"
)

// newCluster is a real API server that the node reaches at its own loopback
// address, until the test ends.
func newCluster(n *node) *cluster {
	n.Helper()
	env, err := testenv.New()
	if err != nil {
		n.Fatal(err)
	}
	env.CRDDirectoryPaths = nil // nobody asks for them
	env.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", range4.String()+","+range6.String())
	config, err := env.Start()
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() {
		if err := env.Stop(); err != nil {
			n.Error(err)
		}
	})
	c := &cluster{node: n, client: kubernetes.NewForConfigOrDie(config)}
	c.kubeconfig = c.writeKubeconfig(config, c.relay(config.Host))
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system}}
	if _, err := c.client.CoreV1().Namespaces().Create(n.Context(), namespace, metav1.CreateOptions{}); err != nil {
		n.Fatal(err)
	}
	return c
}

// relay is the URL at which the node reaches the API server of another namespace.
func (c *cluster) relay(server string) string {
	c.Helper()
	if u, err := url.Parse(server); err == nil && u.Host != "" {
		server = u.Host
	}
	var listener net.Listener
	c.in(c.ns, func() (err error) {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	c.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			agent, err := listener.Accept()
			if err != nil {
				return
			}
			go carry(agent, server)
		}
	}()
	return "https://" + listener.Addr().String()
}

func carry(agent net.Conn, address string) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		_ = agent.Close()
		return
	}
	go func() { _, _ = io.Copy(server, agent); _ = server.Close() }() // the other end notices
	_, _ = io.Copy(agent, server)
	_ = agent.Close()
}

func (c *cluster) writeKubeconfig(config *rest.Config, server string) string {
	c.Helper()
	const name = "test"
	path := filepath.Join(c.TempDir(), "kubeconfig")
	kc := clientcmdapi.NewConfig()
	kc.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: config.CAData}
	kc.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	kc.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kc.CurrentContext = name
	if err := clientcmd.WriteToFile(*kc, path); err != nil {
		c.Fatal(err)
	}
	return path
}

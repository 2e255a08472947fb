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
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/pki"
)

// credentials are the cluster's authorities, and the files that the control
// plane reads its certificates and keys from. The files live in the private
// tmpfs: they are gone with the cluster.
type credentials struct {
	ca *pki.Authority
	// frontProxy vouches for whoever asserts other users' names, so it must
	// not be the authority of ordinary clients.
	frontProxy *pki.Authority
	dir        string
}

func newCredentials(dir string, cluster layout.Cluster) (*credentials, error) {
	ca, err := pki.NewAuthority("switchyard-local")
	if err != nil {
		return nil, err
	}
	frontProxy, err := pki.NewAuthority("switchyard-local-front-proxy")
	if err != nil {
		return nil, err
	}
	c := &credentials{ca: ca, frontProxy: frontProxy, dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return c, c.write(cluster)
}

func (c *credentials) write(cluster layout.Cluster) error {
	caKey, err := c.ca.KeyPEM()
	if err != nil {
		return err
	}
	tokens, err := pki.NewSigningKey()
	if err != nil {
		return err
	}
	server, err := c.ca.Server("kube-apiserver", apiServerNames(cluster), apiServerAddrs(cluster))
	if err != nil {
		return err
	}
	kubeletClient, err := c.ca.Client("kube-apiserver-kubelet-client", "kubeadm:cluster-admins")
	if err != nil {
		return err
	}
	frontProxyClient, err := c.frontProxy.Client("front-proxy-client")
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"ca.crt": c.ca.CertPEM(), "ca.key": caKey,
		"front-proxy-ca.crt": c.frontProxy.CertPEM(),
		"sa.key":             tokens,
		"apiserver.crt":      server.Cert, "apiserver.key": server.Key,
		"apiserver-kubelet-client.crt": kubeletClient.Cert, "apiserver-kubelet-client.key": kubeletClient.Key,
		"front-proxy-client.crt": frontProxyClient.Cert, "front-proxy-client.key": frontProxyClient.Key,
	} {
		if err := os.WriteFile(c.file(name), data, 0o600); err != nil {
			return fmt.Errorf("writing the cluster's certificates: %w", err)
		}
	}
	return nil
}

func (c *credentials) file(name string) string { return filepath.Join(c.dir, name) }

// kubelet is the serving certificate of a node's kubelet API.
func (c *credentials) kubelet(node layout.Node) (tls.Certificate, error) {
	pair, err := c.ca.Server("system:node:"+node.Name, []string{node.Name}, node.IPs())
	if err != nil {
		return tls.Certificate{}, err
	}
	return pair.TLS()
}

// apiServerNames and apiServerAddrs are what clients call the API server: on
// the machine, on the nodes and in pods.
func apiServerNames(cluster layout.Cluster) []string {
	return []string{
		"localhost", cluster.ControlPlane().Name,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + layout.ClusterDomain,
	}
}

func apiServerAddrs(cluster layout.Cluster) []netip.Addr {
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	addrs = append(addrs, layout.APIServerVIPs()...)
	return append(addrs, cluster.ControlPlane().IPs()...)
}

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

package plugin

import (
	"cmp"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"switchyard.dev/switchyard/internal/version"
)

// connection is how to reach the API server: by a kubeconfig, else at an
// address, else as the pod that this is.
type connection struct {
	kubeconfig, context         string
	server                      string
	certificate, key, authority string
	qps                         float32
	burst                       int
}

func (c connection) client() (kubernetes.Interface, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = cmp.Or(c.qps, config.QPS), cmp.Or(c.burst, config.Burst)
	config.UserAgent = "switchyard-dns/" + version.String()
	// Slices are most of what is read: protobuf takes a fraction of the time to
	// decode, and compression is paid for at every change (Kubernetes 1.37,
	// WatchListCompression).
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = config.ContentType + ",application/json"
	config.DisableCompression = true
	return kubernetes.NewForConfig(config)
}

func (c connection) config() (*rest.Config, error) {
	if c.kubeconfig == "" && c.server == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("this is not a pod of a cluster (%w): give kubeconfig", err)
		}
		return config, nil
	}
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: c.kubeconfig}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: c.context}
	if c.kubeconfig == "" {
		overrides.ClusterInfo = clientcmdapi.Cluster{Server: c.server, CertificateAuthority: c.authority}
		overrides.AuthInfo = clientcmdapi.AuthInfo{ClientCertificate: c.certificate, ClientKey: c.key}
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reaching the API server: %w", err)
	}
	return config, nil
}

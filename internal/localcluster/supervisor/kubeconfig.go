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
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"switchyard.dev/switchyard/internal/localcluster/pki"
)

// contextName is what the cluster, its user and their context are called in
// kubeconfig files.
const contextName = "switchyard"

// user is how a client proves who it is: with a certificate or with a token.
type user struct {
	pair  pki.Pair
	token string
	// tokenFile holds one that changes.
	tokenFile string
}

// kubeconfig is a client's access to the API server at that URL.
func kubeconfig(server string, ca []byte, u user) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters[contextName] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[contextName] = &clientcmdapi.AuthInfo{
		ClientCertificateData: u.pair.Cert, ClientKeyData: u.pair.Key, Token: u.token, TokenFile: u.tokenFile,
	}
	config.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: contextName, Namespace: "default"}
	config.CurrentContext = contextName
	data, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("encoding a kubeconfig: %w", err)
	}
	return data, nil
}

// restConfig is the same access for clients in this process. It has no rate
// limit of its own: the API server has fair queues.
func restConfig(server string, ca []byte, u user) *rest.Config {
	return &rest.Config{
		Host:        server,
		BearerToken: u.token,
		QPS:         -1,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: ca, CertData: u.pair.Cert, KeyData: u.pair.Key,
		},
	}
}

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

package app

import (
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"switchyard.dev/switchyard/internal/version"
)

// newClient is a client whose configuration adjust may change last.
func newClient(o *Options, adjust ...func(*rest.Config)) (kubernetes.Interface, error) {
	connection := o.Proxy.ClientConnection
	config, err := restConfig(connection.Kubeconfig, o.Master)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = connection.QPS, int(connection.Burst)
	config.UserAgent = component + "/" + version.String()
	// Slices are most of what a node reads; protobuf, the default, takes a
	// fraction of the time to decode.
	config.ContentType, config.AcceptContentTypes = connection.ContentType, connection.AcceptContentTypes
	if config.AcceptContentTypes == "" && config.ContentType == protobuf {
		config.AcceptContentTypes = protobuf + ",application/json"
	}
	// A watch that begins with a list is compressed to its end (Kubernetes 1.37,
	// WatchListCompression): each change once more for every node.
	config.DisableCompression = config.DisableCompression || !o.Own.CompressResponses
	for _, one := range adjust {
		one(config)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	return client, nil
}

// restConfig reads the kubeconfig at path, of which master replaces the
// address, or the pod's service account when both are empty.
func restConfig(path, master string) (*rest.Config, error) {
	if path == "" && master == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("this is not a pod of a cluster (%w): give --kubeconfig", err)
		}
		return config, nil
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: path},
		&clientcmd.ConfigOverrides{ClusterInfo: clientcmdapi.Cluster{Server: master}}).ClientConfig()
	if err != nil && path != "" {
		return nil, fmt.Errorf("--kubeconfig=%s: %w: give the path of a kubeconfig that this user can read", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("--master=%s: %w: give the URL of the API server", master, err)
	}
	return config, nil
}

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
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
)

// restConfig finds the API server: the kubeconfig that was named, $KUBECONFIG,
// the account of the pod this runs in, ~/.kube/config, in this order.
func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" && os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" {
		if config, err := rest.InClusterConfig(); !errors.Is(err, rest.ErrNotInCluster) {
			return config, err
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, fmt.Errorf("no API server to connect to in %s: name a kubeconfig with --kubeconfig or $KUBECONFIG, or run in a pod",
			strings.Join(rules.GetLoadingPrecedence(), ", "))
	case err != nil && kubeconfig != "":
		return nil, fmt.Errorf("--kubeconfig=%s: %w: give the path of a kubeconfig that this user can read", kubeconfig, err)
	case err != nil:
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return config, nil
}

const (
	// apiServerRetry is how often an absent API server is asked again.
	apiServerRetry = 2 * time.Second
	// apiServerTimeout bounds one question, so that a host that swallows
	// packets is spoken of as often as one that refuses them.
	apiServerTimeout = 4 * time.Second
)

// waitForAPIServer asks until the API server answers, and says each time what
// it is waiting for. Only the end of the context stops it: an API server that
// starts after its clients is nothing unusual, and so are credentials and
// certificates that arrive late.
func waitForAPIServer(ctx context.Context, config *rest.Config, retry time.Duration) error {
	log := ctrl.LoggerFrom(ctx)
	config = rest.CopyConfig(config)
	config.Timeout = apiServerTimeout
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("reaching the API server at %s: %w", config.Host, err)
	}
	var tooOld error
	err = wait.PollUntilContextCancel(ctx, retry, true, func(context.Context) (bool, error) {
		version, served, err := ask(client)
		if err != nil {
			log.Info("Waiting for the API server", "server", config.Host, "retryAfter", retry.String(), "reason", err.Error())
			return false, nil
		}
		log.Info("Reached the API server", "server", config.Host, "serverVersion", version)
		tooOld = requireServiceCIDRs(served, config.Host)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the API server at %s: %w", config.Host, err)
	}
	return tooOld
}

// networkingGroup has the ServiceCIDRs.
const networkingGroup = "networking.k8s.io/v1"

// ask reads the API server's version and what it serves of networkingGroup.
func ask(client discovery.DiscoveryInterface) (version string, served *metav1.APIResourceList, err error) {
	server, err := client.ServerVersion()
	if err != nil {
		return "", nil, err
	}
	served, err = client.ServerResourcesForGroupVersion(networkingGroup)
	if err != nil {
		return "", nil, fmt.Errorf("asking for %s: %w", networkingGroup, err)
	}
	return server.GitVersion, served, nil
}

// requireServiceCIDRs refuses API servers that are too old to say which ranges
// their ClusterIPs come from (KEP-1880, general since 1.33).
func requireServiceCIDRs(served *metav1.APIResourceList, host string) error {
	for _, resource := range served.APIResources {
		if resource.Name == "servicecidrs" {
			return nil
		}
	}
	return fmt.Errorf("the API server at %s serves no ServiceCIDRs in %s: Switchyard needs Kubernetes 1.33 or newer", host, networkingGroup)
}

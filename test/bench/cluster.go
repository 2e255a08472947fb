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

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/process"
)

// cluster is a real API server and its etcd, which does not fsync.
type cluster struct {
	client *kubernetes.Clientset
	// kubeconfig is the path of what the proxies are given.
	kubeconfig string
	config     *rest.Config
	version    string
	store      store
	pid        int // of kube-apiserver
	stop       func() error
}

// startCluster starts them in the current network namespace. They end with the
// PID namespace, or when they are stopped.
func startCluster(dir string, configure ...func(*envtest.Environment)) (*cluster, error) {
	env, err := testenv.New()
	if err != nil {
		return nil, err
	}
	api := env.ControlPlane.GetAPIServer()
	api.SecureServing.Address, api.SecureServing.Port = apiServerAddress.String(), "6443"
	api.Configure().Set("service-cluster-ip-range", serviceCIDR.String())
	for _, c := range configure {
		c(env)
	}
	config, err := env.Start()
	if err != nil {
		return nil, fmt.Errorf("starting etcd and kube-apiserver: %w", err)
	}
	c := &cluster{kubeconfig: filepath.Join(dir, "kubeconfig"), store: store{env.ControlPlane.Etcd.URL}, config: config, stop: env.Stop}
	if c.client, err = newClient(config); err != nil {
		return nil, err
	}
	if c.pid, err = pidOf("kube-apiserver"); err != nil {
		return nil, err
	}
	info, err := c.client.Discovery().ServerVersion()
	if err != nil {
		return nil, err
	}
	c.version = info.GitVersion
	user, err := env.AddUser(envtest.User{Name: "proxy", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return nil, err
	}
	return c, os.WriteFile(c.kubeconfig, kubeconfig, 0o600)
}

// newClient is a client without limits that costs as little CPU as it can.
func newClient(config *rest.Config) (*kubernetes.Clientset, error) {
	config = rest.CopyConfig(config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = config.ContentType + ",application/json"
	config.WarningHandler = rest.NoWarnings{}
	config.RateLimiter = flowcontrol.NewFakeAlwaysRateLimiter()
	return kubernetes.NewForConfig(config)
}

// awaitIdle waits until the API server has done what new objects make it do.
func (c *cluster) awaitIdle(ctx context.Context) error {
	return awaitIdle(ctx, func() (time.Duration, error) { return process.CPUTime(c.pid) }, 150*time.Millisecond)
}

// addAPIServerAddress makes the API server's address one of the current
// network namespace.
func addAPIServerAddress() error { return address("lo", netip.PrefixFrom(apiServerAddress, 32)) }

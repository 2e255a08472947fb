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

// Package testenv starts a real kube-apiserver and etcd for envtest suites,
// from the binaries that `make controlplane` builds or, when it is set, from
// KUBEBUILDER_ASSETS.
package testenv

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/test/testenv/ports"
)

// patience is how long the control plane may take to start and to stop, on a
// machine that has other work.
const patience = 2 * time.Minute

// New is an envtest environment that finds its binaries and installs the CRDs;
// the caller sets what else it needs (webhooks, API server flags) and starts it.
func New() (*envtest.Environment, error) {
	assets, err := Assets()
	if err != nil {
		return nil, err
	}
	environment := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		CRDDirectoryPaths:     []string{filepath.Join(Root(), "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,

		ControlPlaneStartTimeout: patience,
		ControlPlaneStopTimeout:  patience,
	}
	if err := takePorts(environment); err != nil {
		return nil, err
	}
	if dir := os.Getenv(AuditVariable); dir != "" {
		return environment, auditTo(environment, dir)
	}
	return environment, nil
}

// takePorts gives the servers ports that nobody else is given: those that envtest
// would choose itself may be taken by a connection before a server listens there.
func takePorts(environment *envtest.Environment) error {
	var addresses [3]string
	for i := range addresses {
		var err error
		if addresses[i], err = ports.Address(); err != nil {
			return err
		}
	}
	webhooks, err := ports.Free()
	if err != nil {
		return err
	}
	clients, peers, api := addresses[0], addresses[1], addresses[2]
	etcd := &envtest.Etcd{URL: &url.URL{Scheme: "http", Host: clients}}
	etcd.Configure().Set("listen-peer-urls", "http://"+peers)
	environment.ControlPlane.Etcd = etcd
	server := environment.ControlPlane.GetAPIServer()
	server.SecureServing.Address, server.SecureServing.Port, err = net.SplitHostPort(api)
	environment.WebhookInstallOptions.LocalServingHost, environment.WebhookInstallOptions.LocalServingPort = "127.0.0.1", webhooks
	return err
}

// Assets is the directory that holds etcd, kube-apiserver and kubectl.
func Assets() (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir, nil
	}
	dir := filepath.Join(Root(), "bin", "k8s")
	if _, err := os.Stat(filepath.Join(dir, "kube-apiserver")); err != nil {
		return "", fmt.Errorf("no kube-apiserver in %s: run `make controlplane`, or set KUBEBUILDER_ASSETS", dir)
	}
	return dir, nil
}

// Root is the repository's top directory.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

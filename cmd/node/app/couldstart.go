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
	"fmt"
	"net"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/dataplane/health"
)

// askTimeout is how long an API server has to answer the agent that asks on trial.
const askTimeout = 5 * time.Second

// couldStart tries what a start with other options would need and would not get,
// as far as that can be tried while the agent runs: it reads the kubeconfig, asks
// the API server what agents ask, and opens each address for a moment. Only what
// differs is tried, as all agents follow a file at once, and an API server that is
// away has nothing to do with an address.
func (o *Options) couldStart(ctx context.Context, running *Options) error {
	if _, err := o.nodeName(); err != nil {
		return err
	}
	if o.Proxy.ClientConnection != running.Proxy.ClientConnection {
		if err := o.asks(ctx); err != nil {
			return err
		}
	}
	own := listensAt(running)
	for flag, address := range listensAt(o) {
		if address == "" || address == own[flag] {
			continue
		}
		listener, err := health.Listen(flag, besideOwn(own, address))
		if err != nil {
			return err
		}
		defer func() { _ = listener.Close() }()
	}
	return nil
}

// asks reads the Service "kubernetes" of all namespaces, as every agent reads them
// all. All agents may ask at once: what the API server has in memory will do, of which
// it would return all Services for a limit (kubernetes/kubernetes#70735).
func (o *Options) asks(ctx context.Context) error {
	client, err := newClient(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	one := metav1.ListOptions{ResourceVersion: "0", FieldSelector: "metadata.name=kubernetes"}
	if _, err := client.CoreV1().Services("").List(ctx, one); err != nil {
		return fmt.Errorf("asking the API server by clientConnection of the file: %w: correct it, or let this user list Services", err)
	}
	return nil
}

// listensAt are those that a server of the agent listens at, by their flags.
func listensAt(o *Options) map[string]string {
	return map[string]string{"healthz-bind-address": o.Proxy.HealthzBindAddress, "metrics-bind-address": o.Proxy.MetricsBindAddress}
}

// besideOwn is an address to try in place of one whose port a server of our own has
// at present: whether it is this node's can be told at any port.
func besideOwn(own map[string]string, address string) string {
	host, port, _ := net.SplitHostPort(address)
	for _, other := range own {
		if _, used, err := net.SplitHostPort(other); err == nil && used == port {
			return net.JoinHostPort(host, "0")
		}
	}
	return address
}

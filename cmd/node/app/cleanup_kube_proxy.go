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
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/leftovers"
)

// cleanupKubeProxy removes kube-proxy's rules from a node where the agent is
// ready, and says what it did.
func (o *Options) cleanupKubeProxy(ctx context.Context, out io.Writer) error {
	const flag = "--cleanup-kube-proxy"
	if err := agentReady(ctx, o.Proxy.HealthzBindAddress); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	done, err := leftovers.Remove(ctx)
	for _, line := range done {
		_, _ = fmt.Fprintln(out, line)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if len(done) == 0 {
		_, err = fmt.Fprintln(out, "kube-proxy has left nothing here.")
	}
	return err
}

// agentReady asks the agent of this node whether all of its rules are there.
// kube-proxy at the same address does not know the path.
func agentReady(ctx context.Context, bound string) error {
	if bound == "" {
		return nil // nobody answers; what is in the kernel has to do
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	url := "http://" + dialable(bound) + "/readyz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	const remedy = "start it on this node, end kube-proxy, and wait until the agent is ready; see docs/migrate.md"
	client := thisNode()
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the agent: %w: %s", err, remedy)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent is not ready, %s answers %s: %s", url, response.Status, remedy)
	}
	return nil
}

// thisNode is a client that asks a server of this node and nobody else: a proxy is
// elsewhere, and so may be what a redirect leads to.
func thisNode() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dialable is an address to reach a server by that listens on that one.
func dialable(bound string) string {
	at, err := netip.ParseAddrPort(bound)
	if err != nil || !at.Addr().IsUnspecified() {
		return bound
	}
	local := "127.0.0.1"
	if at.Addr().Is6() {
		local = "::1"
	}
	return net.JoinHostPort(local, fmt.Sprint(at.Port()))
}

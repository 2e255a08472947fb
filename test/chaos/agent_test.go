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

package chaos

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"time"

	"switchyard.dev/switchyard/test/testenv/process"
)

func program() string { return process.Built("switchyard-node") }

const healthPort = "10256"

// unprotected lets nft and other agents at the table.
const unprotected = "--protect-table=off"

// startAgent starts it in the node's namespace and does not wait.
func (b *bed) startAgent(flags ...string) {
	b.Helper()
	b.startAgentBy(nil, flags...)
}

// startAgentBy has another program become the agent.
func (b *bed) startAgentBy(launcher []string, flags ...string) {
	b.Helper()
	argv := slices.Concat(launcher, []string{
		program(), "--kubeconfig=" + b.kubeconfig, "--hostname-override=" + nodeName, "--detect-local-mode=NodeCIDR",
		"--healthz-bind-address=127.0.0.1:" + healthPort, "--metrics-bind-address=127.0.0.1:10249",
	}, flags)
	b.agent = process.Run(b, exec.Command(argv[0], argv[1:]...), b.node)
}

// endAgent fails if the agent has ended by itself.
func (b *bed) endAgent(signal os.Signal) {
	b.Helper()
	if !b.agent.End(signal) {
		b.Error("the agent ended by itself")
	}
}

// awaitSync waits until the agent has done its first sync.
func (b *bed) awaitSync() {
	b.Helper()
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true, Dial: func(network, address string) (conn net.Conn, err error) {
		err = b.node.Do(func() error {
			conn, err = net.DialTimeout(network, address, time.Second)
			return err
		})
		return conn, err
	}}}
	b.await("the agent is ready", func() bool {
		response, err := client.Get("http://127.0.0.1:" + healthPort + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// cleanup removes our tables, in the namespace of the calling thread.
func cleanup() error {
	out, err := exec.Command(program(), "--cleanup").CombinedOutput()
	if err != nil {
		return fmt.Errorf("cleaning up: %w: %s", err, out)
	}
	return nil
}

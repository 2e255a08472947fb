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
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"switchyard.dev/switchyard/test/testenv"
)

// process is a running switchyard-node.
type process struct {
	cmd  *exec.Cmd
	log  *syncBuffer
	done chan struct{}
}

func program() string { return filepath.Join(testenv.Root(), "bin", "switchyard-node") }

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
	a := &process{log: &syncBuffer{}, done: make(chan struct{})}
	argv := slices.Concat(launcher, []string{
		program(), "--kubeconfig=" + b.kubeconfig, "--hostname-override=" + nodeName, "--detect-local-mode=NodeCIDR",
		"--healthz-bind-address=127.0.0.1:" + healthPort, "--metrics-bind-address=127.0.0.1:10249",
	}, flags)
	a.cmd = exec.Command(argv[0], argv[1:]...)
	a.cmd.Stderr = a.log
	// It must not outlive the test, nor the thread that started it.
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		defer close(a.done)
		_ = b.node.Do(func() error {
			err := a.cmd.Start()
			started <- err
			if err == nil {
				_ = a.cmd.Wait()
			}
			return nil
		})
	}()
	if err := <-started; err != nil {
		b.Fatal(err)
	}
	b.agent = a
	b.Cleanup(func() { a.end(os.Kill) })
}

// end sends the signal and waits. It tells whether the agent was still there.
func (a *process) end(signal os.Signal) (alive bool) {
	select {
	case <-a.done:
		return false
	default:
	}
	_ = a.cmd.Process.Signal(signal)
	<-a.done
	return true
}

// endAgent fails if the agent has ended by itself.
func (b *bed) endAgent(signal os.Signal) {
	b.Helper()
	if !b.agent.end(signal) {
		b.Errorf("the agent ended by itself:\n%s", b.agent.log)
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
	defer func() {
		if b.Failed() {
			b.Logf("the agent says:\n%s", b.agent.log)
		}
	}()
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

// syncBuffer keeps what an agent prints.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

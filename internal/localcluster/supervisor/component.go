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
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"switchyard.dev/switchyard/internal/localcluster/control"
	"switchyard.dev/switchyard/internal/netns"
)

// Restart delays double from the first to the last, and start anew after a
// process has run for calm.
const (
	firstDelay = 100 * time.Millisecond
	lastDelay  = 10 * time.Second
	calm       = 30 * time.Second
)

// component is a process that is started again when it ends.
type component struct {
	name string
	// node is where it runs; namespace is that node's.
	node      string
	namespace *netns.Namespace
	path      string
	args      []string
	env       []string
	logPath   string
	log       logr.Logger
	// exited is told of every end, with the number of ends so far.
	exited func(c *component, ends int, reason string)

	mu     sync.Mutex
	status control.Component
}

// run keeps the process running until ctx ends, and then ends it.
func (c *component) run(ctx context.Context) {
	delay := firstDelay
	for ends := 1; ; ends++ {
		started := time.Now()
		reason := c.runOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		c.noteEnd(reason)
		c.log.Info("Process ended", "component", c.name, "reason", reason, "restartIn", delay.String())
		c.exited(c, ends, reason)
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
		delay = nextDelay(delay, time.Since(started))
	}
}

// nextDelay is the delay after one that followed a run of that length.
func nextDelay(delay, ran time.Duration) time.Duration {
	if ran > calm {
		return firstDelay
	}
	return min(2*delay, lastDelay)
}

// runOnce starts the process, waits for its end and says how it ended.
func (c *component) runOnce(ctx context.Context) string {
	log, err := os.OpenFile(c.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, log, log
	if err := c.namespace.Do(cmd.Start); err != nil {
		return fmt.Sprintf("could not be started: %v", err)
	}
	c.noteStart(cmd.Process.Pid)
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "exit status 0"
	case errors.As(err, &exit):
		return exit.ProcessState.String()
	default:
		return err.Error()
	}
}

func (c *component) noteStart(pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.PID, c.status.Since = pid, time.Now()
}

func (c *component) noteEnd(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.PID, c.status.Since, c.status.LastExit = 0, time.Now(), reason
	c.status.Restarts++
}

// current is the component as `switchyard status` shows it.
func (c *component) current() control.Component {
	c.mu.Lock()
	defer c.mu.Unlock()
	status := c.status
	status.Name, status.Node, status.Log = c.name, c.node, c.logPath
	return status
}

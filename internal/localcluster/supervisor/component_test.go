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
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"switchyard.dev/switchyard/test/prereq"
)

func TestAComponentThatEndsIsStartedAgainAndLogged(t *testing.T) {
	namespace := prereq.Namespace(t)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	second := make(chan string, 1)
	c := &component{
		name: "short", node: "node-1", namespace: namespace,
		path: "/bin/sh", args: []string{"-c", "echo hello; exit 3"},
		logPath: filepath.Join(t.TempDir(), "short.log"), log: logr.Discard(),
		exited: func(_ *component, ends int, reason string) {
			if ends == 2 {
				second <- reason
				stop()
			}
		},
	}
	c.run(ctx)
	if reason := <-second; reason != "exit status 3" {
		t.Errorf("it ended with %q", reason)
	}
	if got := c.current(); got.Restarts != 2 || got.PID != 0 || got.LastExit != "exit status 3" || got.Node != "node-1" {
		t.Errorf("status %+v", got)
	}
	if got := tail(c.logPath); got != "  | hello\n  | hello" {
		t.Errorf("log:\n%s", got)
	}
}

func TestAProgramThatCanNotBeStartedSaysWhy(t *testing.T) {
	namespace := prereq.Namespace(t)
	c := &component{namespace: namespace, path: "/nonexistent", logPath: filepath.Join(t.TempDir(), "log")}
	if got := c.runOnce(context.Background()); !strings.Contains(got, "no such file") {
		t.Errorf("it ended with %q", got)
	}
}

func TestRestartDelays(t *testing.T) {
	tests := map[string]struct {
		delay, ran, want time.Duration
	}{
		"doubles":                         {delay: time.Second, ran: time.Second, want: 2 * time.Second},
		"has an upper bound":              {delay: 8 * time.Second, ran: time.Second, want: lastDelay},
		"starts anew after a long run":    {delay: 8 * time.Second, ran: calm + 1, want: firstDelay},
		"stays at its upper bound":        {delay: lastDelay, ran: 0, want: lastDelay},
		"doubles from the first delay on": {delay: firstDelay, ran: 0, want: 2 * firstDelay},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := nextDelay(tc.delay, tc.ran); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestTheEndOfALogIsShort(t *testing.T) {
	long := strings.Repeat("x", 2*lineBytes)
	text := strings.Repeat("old\n", 100) + long + "\nlast\n"
	got := strings.Split(lastLines(text), "\n")
	if len(got) != tailLines || got[tailLines-1] != "  | last" || len(got[tailLines-2]) > lineBytes+len("  | ...") {
		t.Errorf("got %d lines, the last ones %q", len(got), got[max(0, len(got)-2):])
	}
}

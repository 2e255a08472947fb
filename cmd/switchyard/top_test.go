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
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// agentPages is an agent that answers one page after the other, and at the end
// calls done. An empty page is no answer.
func agentPages(node string, done context.CancelFunc, pages ...string) metricsPage {
	return metricsPage{node, func(context.Context) ([]byte, error) {
		page := pages[0]
		if pages = pages[1:]; len(pages) == 0 {
			done()
		}
		if page == "" {
			return nil, errors.New("connection refused")
		}
		return []byte(page), nil
	}}
}

func counted(connections int) string {
	return fmt.Sprintf("switchyard_node_service_traffic_failures_total 0\n"+
		"switchyard_node_service_connections_total{ip_family=\"IPv4\",namespace=\"shop\",service=\"cart\"} %d\n", connections)
}

const countsNothing = "go_goroutines 12\n"

func watched(t *testing.T, once bool, agents func(done context.CancelFunc) []metricsPage) (out, problems string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var table, notes strings.Builder
		o := topOptions{interval: 2 * time.Second, sort: "connections", once: once}
		err = o.watch(ctx, agents(cancel), &table, &notes)
		out, problems = table.String(), notes.String()
	})
	return out, problems, err
}

func TestAnAgentThatDoesNotAnswerOnceDoesNotEndTop(t *testing.T) {
	none := func() {}
	out, problems, err := watched(t, false, func(done context.CancelFunc) []metricsPage {
		return []metricsPage{
			agentPages("node-1", none, counted(10), counted(20), counted(30), ""),
			agentPages("node-2", done, counted(100), "", counted(140), ""),
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	tables := strings.Split(strings.TrimSpace(out), "\n\n")
	if len(tables) != 3 || strings.Contains(tables[1], "node-2") || !strings.Contains(tables[1], "node-1  5.0 ") ||
		!strings.Contains(tables[2], "node-2  10.0 ") {
		t.Errorf("it shows\n%s", out)
	}
	if want := "not shown: asking the agent of node-2: connection refused\n"; problems != want {
		t.Errorf("it says %q, want %q", problems, want)
	}
}

func TestAnAgentThatHangsIsNotWaitedForForEver(t *testing.T) {
	out, problems, err := watched(t, true, func(context.CancelFunc) []metricsPage {
		hung := metricsPage{"node-2", func(ctx context.Context) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		return []metricsPage{agentPages("node-1", func() {}, counted(10)), hung}
	})
	if err != nil || !strings.Contains(out, "node-1") || !strings.Contains(problems, "node-2: context deadline exceeded") {
		t.Errorf("error %v, it shows\n%sand says %q", err, out, problems)
	}
}

func TestTopNamesTheAgentsThatDoNotCount(t *testing.T) {
	none := func() {}
	for name, tc := range map[string]struct {
		first, second string
		note, err     string
	}{
		"one of two":                     {first: counted(1), second: countsNothing, note: "the agent of node-2 does not count"},
		"both":                           {first: countsNothing, second: countsNothing, err: "the agent of node-1, node-2 does not count"},
		"one, and the other is away":     {first: countsNothing, note: "the agent of node-1 does not count"},
		"both are away":                  {err: "asking the agent of node-2: connection refused"},
		"one is away, the other does so": {second: counted(1), note: "not shown: asking the agent of node-1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems, err := watched(t, true, func(context.CancelFunc) []metricsPage {
				return []metricsPage{agentPages("node-1", none, tc.first), agentPages("node-2", none, tc.second)}
			})
			if !strings.Contains(problems, tc.note) || (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("it says %q, error %v", problems, err)
			}
		})
	}
}

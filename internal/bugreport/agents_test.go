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

package bugreport

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/status"
)

// loopback is that of a node, by port.
type loopback map[int]func(context.Context) (net.Conn, error)

func (l loopback) Open(context.Context, status.Instance) (status.Tunnel, error) { return l, nil }

func (loopback) Close() error { return nil }

func (l loopback) Dial(ctx context.Context, port int) (net.Conn, error) { return l[port](ctx) }

// serve has pages answered; /livez with 503.
func serve(t *testing.T, pages map[string]string) func(context.Context) (net.Conn, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, has := pages[r.URL.Path]
		switch {
		case !has:
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == "/livez":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
}

// silent takes connections, and that is all.
func silent(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	go func() { _, _ = there.Read(make([]byte, 4096)) }()
	context.AfterFunc(ctx, func() { _ = here.Close(); _ = there.Close() })
	return here, nil
}

func askedAgents(t *testing.T, node loopback) (files []string, list string) {
	t.Helper()
	c := &Collector{Contents: &Contents{}, Tunnels: node, MostAgents: 1}
	c.Agents(t.Context(), []status.Instance{{Node: "node-1"}})
	var packed bytes.Buffer
	list, err := c.Write(&packed, "r", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for name := range entriesOf(t, packed.Bytes()) {
		if after, is := strings.CutPrefix(name, "r/agents/node-1/"); is {
			files = append(files, after)
		}
	}
	slices.Sort(files)
	return files, list
}

// Where kube-proxy has a port, nothing that it says is in the report as the agent's.
func TestPagesOfAnotherProgramAreNotTheAgents(t *testing.T) {
	metrics := serve(t, map[string]string{"/metrics": "switchyard_node_build_info 1\n", "/configz": "{}", "/flagz": "x", "/statusz": "x"})
	health := serve(t, map[string]string{"/readyz": "ok", "/healthz": "{}", "/livez": "{}"})
	proxy := serve(t, map[string]string{"/metrics": "kubeproxy_network_programming_duration_seconds_count 1\n", "/configz": "{}"})
	proxysHealth := serve(t, map[string]string{"/healthz": `{"lastUpdated": "x"}`, "/livez": `{}`})
	own, ownHealth := []string{"configz.txt", "flagz.txt", "metrics.txt", "statusz.txt"}, []string{"healthz.txt", "livez.txt", "readyz.txt"}
	for name, tc := range map[string]struct {
		node loopback
		want []string
		says []string
	}{
		"the agent":                  {loopback{10249: metrics, 10256: health}, []string{"configz.txt", "flagz.txt", "healthz.txt", "livez.txt", "metrics.txt", "readyz.txt", "statusz.txt"}, []string{"what its agent says, with the code 503"}},
		"kube-proxy":                 {loopback{10249: proxy, 10256: proxysHealth}, nil, []string{"port 10249: kube-proxy answers here, not the agent", "port 10256: kube-proxy answers"}},
		"kube-proxy with one port":   {loopback{10249: metrics, 10256: proxysHealth}, own, []string{"port 10256: kube-proxy answers here, not the agent"}},
		"kube-proxy with the others": {loopback{10249: proxy, 10256: health}, ownHealth, []string{"port 10249: kube-proxy answers here, not the agent"}},
	} {
		t.Run(name, func(t *testing.T) {
			files, list := askedAgents(t, tc.node)
			if diff := cmp.Diff(tc.want, files); diff != "" {
				t.Errorf("pages (-want +got):\n%s", diff)
			}
			for _, says := range tc.says {
				if !strings.Contains(list, says) {
					t.Errorf("the list does not say %q:\n%s", says, list)
				}
			}
		})
	}
}

// While one agent takes the place of another, each has files of its own.
func TestTwoAgentsOfANodeHaveFilesEach(t *testing.T) {
	metrics := serve(t, map[string]string{"/metrics": "switchyard_node_build_info 1\n"})
	c := &Collector{Contents: &Contents{}, Tunnels: loopback{10249: metrics, 10256: metrics}, MostAgents: 2}
	c.Agents(t.Context(), []status.Instance{{Node: "node-1", Name: "old"}, {Node: "node-1", Name: "new"}})
	count := map[string]int{}
	for _, e := range c.entries {
		count[e.Name]++
	}
	if count["agents/node-1/metrics.txt"] != 1 || count["agents/node-1/new/metrics.txt"] != 1 {
		t.Errorf("files: %v", count)
	}
}

// It is the agent who took too long, not the report.
func TestAnAgentThatHangsIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, list := askedAgents(t, loopback{10249: silent, 10256: silent})
		if want := "Not in it:\n  pages of the agent of node-1: no answer within 10s\n"; len(files) > 0 || !strings.HasSuffix(list, want) {
			t.Errorf("files %v; list:\n%s", files, list)
		}
	})
}

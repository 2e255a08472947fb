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
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/prereq"
	"switchyard.dev/switchyard/test/testenv/ports"
)

func TestKubeProxysRulesStayUntilTheAgentIsReady(t *testing.T) {
	prereq.Root(t)
	nft := prereq.Tool(t, "nft", "nftables")
	ns := newNamespace(t)
	const proxied = "add table ip kube-proxy; add chain ip kube-proxy services"
	runIn(t, ns, proxied, nft, "-f", "-")
	run := func(args ...string) (code int, said string) {
		var stdout, stderr bytes.Buffer
		if err := ns.Do(func() error {
			code = Main(append([]string{"--cleanup-kube-proxy"}, args...), &stdout, &stderr)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return code, stdout.String() + stderr.String()
	}
	still := func() bool { return strings.Contains(runIn(t, ns, "", nft, "list", "tables"), "kube-proxy") }

	status := http.StatusNotFound // as kube-proxy answers
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("it asks for %s", r.URL.Path)
		}
		w.WriteHeader(status)
	})}
	// The client dials from whatever thread it likes, so this one is outside.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	address := "--healthz-bind-address=" + listener.Addr().String()

	if code, said := run(address); code == 0 || !strings.Contains(said, "answers 404") || !still() {
		t.Errorf("beside kube-proxy: %d, %s", code, said)
	}
	status = http.StatusOK
	if code, said := run(address); code == 0 || !strings.Contains(said, "no rules of ours") || !still() {
		t.Errorf("on another node: %d, %s", code, said)
	}
	runIn(t, ns, "table ip switchyard {\nchain nat-prerouting {\ntype nat hook prerouting priority -100; counter\n}\n}\n", nft, "-f", "-")
	if code, said := run(address); code != 0 || !strings.Contains(said, "IPv4: removed table kube-proxy") || still() {
		t.Errorf("with the agent ready: %d, %s", code, said)
	}
	if code, said := run("--healthz-bind-address="); code != 0 || !strings.Contains(said, "nothing") {
		t.Errorf("a second time: %d, %s", code, said)
	}
}

// Whoever else says 200 knows nothing of this node.
func TestOnlyTheAgentItselfSaysThatItIsReady(t *testing.T) {
	ready := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer ready.Close()
	t.Run("not where a redirect leads", func(t *testing.T) {
		elsewhere := httptest.NewServer(http.RedirectHandler(ready.URL, http.StatusFound))
		defer elsewhere.Close()
		if err := agentReady(t.Context(), elsewhere.Listener.Addr().String()); err == nil || !strings.Contains(err.Error(), "answers 302") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not a proxy", func(t *testing.T) {
		// http.ProxyFromEnvironment reads the environment once, and leaves out loopback.
		was := http.DefaultTransport
		defer func() { http.DefaultTransport = was }()
		proxy, err := url.Parse(ready.URL)
		if err != nil {
			t.Fatal(err)
		}
		http.DefaultTransport = &http.Transport{Proxy: http.ProxyURL(proxy)}
		nobody, err := ports.Address()
		if err != nil {
			t.Fatal(err)
		}
		if err := agentReady(t.Context(), nobody); err == nil {
			t.Error("a proxy has answered")
		}
	})
}

func TestTheAgentIsAskedOnThisNode(t *testing.T) {
	for bound, want := range map[string]string{
		"0.0.0.0:10256": "127.0.0.1:10256", "[::]:10256": "[::1]:10256", "172.30.0.11:10256": "172.30.0.11:10256",
	} {
		if got := dialable(bound); got != want {
			t.Errorf("%s: got %s, want %s", bound, got, want)
		}
	}
}

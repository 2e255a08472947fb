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
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// sometimesAway is the kubeconfig of an API server that can be away.
func sometimesAway(t *testing.T) (kubeconfig string, away *atomic.Bool) {
	t.Helper()
	away = new(atomic.Bool)
	there := apiServer(t).Config.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		there.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return writeFile(t, "kubeconfig", `{clusters: [{name: c, cluster: {server: "`+server.URL+`"}}], contexts: [{name: c, context: {cluster: c}}], current-context: c}`), away
}

// What the old configuration knows is not given up for a new one that can not
// know anything yet.
func TestAReloadWithoutTheAPIServerChangesNothing(t *testing.T) {
	kubeconfig, away := sometimesAway(t)
	port, ready := freePort(t), freePort(t)
	corefile := func(ttl int, timeout string) string {
		return fmt.Sprintf(".:%s {\n bind 127.0.0.1\n ready 127.0.0.1:%s {\n monitor continuously\n }\n switchyard cluster.local {\n kubeconfig %s\n startup_timeout %s\n ttl %d\n }\n}\n",
			port, ready, kubeconfig, timeout, ttl)
	}
	path := writeFile(t, "Corefile", corefile(5, "1m"))
	p := launch(t, port, "--config="+path)
	over := make(chan struct{})
	unanswered := p.askAll(over)
	isReady := func(what string, so func() bool) {
		t.Helper()
		p.Await(t, what, func() bool {
			if page := get(ready, "/ready"); strings.HasPrefix(page, "503") && !strings.Contains(page, "Shutting") {
				t.Fatalf("before %s: /ready is %s", what, page)
			}
			return so()
		})
	}
	reload := func(timeout string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(corefile(17, timeout)), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Signal(syscall.SIGUSR1)
	}
	away.Store(true)
	reload("1s")
	isReady("it says that it goes on as before", func() bool { return strings.Contains(p.Log(), "going on as before") })
	isReady("it is ready", func() bool { return strings.HasPrefix(get(ready, "/ready"), "200") })
	ttl := func() uint32 {
		answer, err := p.ask("udp", clusterName)
		if err != nil || len(answer.Answer) == 0 {
			t.Fatalf("%v, %v", answer, err)
		}
		return answer.Answer[0].Header().Ttl
	}
	if got := ttl(); got != 5 {
		t.Errorf("the TTL is %d", got)
	}
	close(over)
	if err := <-unanswered; err != nil {
		t.Errorf("meanwhile: %v", err)
	}
	away.Store(false)
	reload("1m") // what a busy machine may take
	isReady("the new configuration is there", func() bool { return ttl() == 17 })
}

// Who ends the server does not wait for a reload that waits for the API server.
func TestAReloadThatWaitsDoesNotKeepTheServer(t *testing.T) {
	kubeconfig, away := sometimesAway(t)
	port := freePort(t)
	corefile := fmt.Sprintf(".:%s {\n bind 127.0.0.1\n switchyard cluster.local {\n kubeconfig %s\n startup_timeout 1h\n }\n}\n", port, kubeconfig)
	p := launch(t, port, "--config="+writeFile(t, "Corefile", corefile))
	away.Store(true)
	p.Signal(syscall.SIGUSR1)
	p.Await(t, "it reloads", func() bool { return strings.Contains(p.Log(), "Reloading") })
	p.Signal(syscall.SIGTERM)
	if code := p.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

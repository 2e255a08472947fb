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
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"switchyard.dev/switchyard/test/testenv/ports"
)

// apiServer serves one namespace and one Service, in JSON and by lists.
func apiServer(t *testing.T) *httptest.Server {
	lists := map[string]string{
		"/api/v1/namespaces": `{"kind": "NamespaceList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "shop"}}]}`,
		"/api/v1/services": `{"kind": "ServiceList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": [
			{"metadata": {"namespace": "shop", "name": "web"}, "spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"]}}]}`,
		"/apis/discovery.k8s.io/v1/endpointslices": `{"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": {"resourceVersion": "1"}, "items": []}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Query().Has("sendInitialEvents"):
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422}`)
		case r.URL.Query().Has("watch"):
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			fmt.Fprint(w, lists[r.URL.Path])
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := ports.Free()
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}

func TestTheServer(t *testing.T) {
	dir := t.TempDir()
	api := apiServer(t)
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	kubeconfig := write("kubeconfig", `{clusters: [{name: c, cluster: {server: "`+api.URL+`"}}], contexts: [{name: c, context: {cluster: c}}], current-context: c}`)
	port, metrics, ready := freePort(t), freePort(t), freePort(t)
	corefile := write("Corefile", fmt.Sprintf(`.:%s {
		bind 127.0.0.1
		errors
		ready 127.0.0.1:%s
		prometheus 127.0.0.1:%s
		switchyard cluster.local {
			kubeconfig %s
			startup_timeout 1m
		}
		cache 30
		whoami
	}`, port, ready, metrics, kubeconfig))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, &options{config: corefile}) }()

	ask := func(network, name string) (*dns.Msg, error) {
		c := &dns.Client{Net: network, Timeout: time.Minute}
		answer, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), "127.0.0.1:"+port)
		return answer, err
	}
	// It is ready a moment before it listens.
	listens := func() bool {
		_, err := ask("tcp", "web.shop.svc.cluster.local.")
		return err == nil
	}
	for !strings.HasPrefix(get(ready, "/ready"), "200") || !listens() {
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	for _, network := range []string{"udp", "tcp"} {
		answer, err := ask(network, "web.shop.svc.cluster.local.")
		if err != nil || len(answer.Answer) != 1 || answer.Answer[0].(*dns.A).A.String() != "10.96.0.7" {
			t.Fatalf("over %s: %v, %v", network, answer, err)
		}
	}
	// The cache is asked for what is not ours, and nothing else.
	if _, err := ask("udp", "www.example.com."); err != nil {
		t.Error(err)
	}
	page := get(metrics, "/metrics")
	if !strings.Contains(page, "coredns_dns_requests_total") {
		t.Errorf("metrics are %.500s", page)
	}
	if want := `coredns_cache_requests_total{server="dns://127.0.0.1:` + port + `",view="",zones="."} 1`; !strings.Contains(page, want+"\n") {
		t.Errorf("no %s in\n%s", want, page)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if l, err := net.Listen("tcp", "127.0.0.1:"+port); err != nil {
		t.Errorf("its port is not free: %v", err)
	} else {
		_ = l.Close()
	}
}

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

package kubelet_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/localcluster/kubelet"
	"switchyard.dev/switchyard/internal/localcluster/pki"
)

// runtime answers for a Pod that has one line of log.
type runtime struct{ kubelet.Runtime }

func (runtime) Pods() []*corev1.Pod { return []*corev1.Pod{{}} }

func (runtime) Logs(_ context.Context, c kubelet.Container, options *corev1.PodLogOptions, out io.Writer) error {
	if c.Pod != "web" {
		return kubelet.NotFoundError("no such pod")
	}
	if options.Previous {
		return kubelet.BadRequestError("no earlier run")
	}
	_, err := fmt.Fprintf(out, "%s/%s/%s\n", c.Namespace, c.Pod, c.Name)
	return err
}

// serve returns the server's address and a way to make clients for it.
func serve(t *testing.T) (url string, client func(ca *pki.Authority, user string, groups ...string) *http.Client, ca *pki.Authority) {
	t.Helper()
	ca, err := pki.NewAuthority("cluster")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Server("node", nil, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := pair.TLS()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	server := kubelet.New(kubelet.Config{Runtime: runtime{}, ServingCert: certificate, ClientCAs: ca.Pool(), Log: logr.Discard()})
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	client = func(signer *pki.Authority, user string, groups ...string) *http.Client {
		config := &tls.Config{RootCAs: ca.Pool()}
		if user != "" {
			pair, err := signer.Client(user, groups...)
			if err != nil {
				t.Fatal(err)
			}
			certificate, err := pair.TLS()
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{certificate}
		}
		return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	}
	return "https://" + listener.Addr().String(), client, ca
}

func get(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(body))
}

func TestOnlyTheAPIServerAndAdministratorsAreLetIn(t *testing.T) {
	url, client, ca := serve(t)
	other, err := pki.NewAuthority("another cluster")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		client *http.Client
		want   int
	}{
		"the API server":            {client(ca, "kube-apiserver-kubelet-client"), 200},
		"an administrator":          {client(ca, "me", "system:masters"), 200},
		"another user":              {client(ca, "system:node:node-2", "system:nodes"), 403},
		"nobody":                    {client(ca, ""), 401},
		"another cluster's servant": {client(other, "kube-apiserver-kubelet-client", "system:masters"), 401}, // not even sent
	} {
		for _, path := range []string{"/pods", "/containerLogs/ns/web/main", "/healthz"} {
			if got, body := get(t, tc.client, url+path); got != tc.want {
				t.Errorf("%s at %s: %d %s, want %d", name, path, got, body, tc.want)
			}
		}
	}
}

func TestWhatIsWrongIsInTheStatusCode(t *testing.T) {
	url, client, ca := serve(t)
	admin := client(ca, "me", "system:masters")
	for path, want := range map[string]string{
		"/containerLogs/ns/web/main":               "200 ns/web/main",
		"/containerLogs/ns/other/main":             "404 no such pod",
		"/containerLogs/ns/web/main?previous=true": "400 no earlier run",
		"/containerLogs/ns/web/main?tailLines=all": `400 log option tailLines="all" must be a number of at least 0`,
		"/exec/ns/web/main?command=ls":             "400 you must specify at least 1 of stdin, stdout, stderr",
		"/stats/summary":                           "404 404 page not found",
	} {
		code, body := get(t, admin, url+path)
		if got := fmt.Sprintf("%d %s", code, body); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

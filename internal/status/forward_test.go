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

package status

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/apimachinery/pkg/util/httpstream/spdy"
	"k8s.io/client-go/rest"
)

// silentServer accepts connections and never answers.
func silentServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return "http://" + listener.Addr().String()
}

// hanging is an API server that handles no port-forwarding to its end. It holds its
// requests until the test ends.
func hanging(t *testing.T, handle func(w http.ResponseWriter, r *http.Request)) string {
	t.Helper()
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle(w, r)
		<-over
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	return server.URL
}

// upgraded makes a request a connection whose streams are handled so.
func upgraded(streams httpstream.NewStreamHandler) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		spdy.NewResponseUpgrader().UpgradeResponse(w, r, streams)
	}
}

// Whatever does not answer on the way to an agent, what asks it ends in time.
func TestATunnelEndsWithItsContext(t *testing.T) {
	for name, server := range map[string]func(*testing.T) string{
		"the API server accepts, and no more": silentServer,
		"it begins to refuse": func(t *testing.T) string {
			return hanging(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusInternalServerError)
				_ = http.NewResponseController(w).Flush()
			})
		},
		"it upgrades, and no more": func(t *testing.T) string {
			return hanging(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				t.Cleanup(func() { _ = conn.Close() })
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", spdy.HeaderSpdy31)
			})
		},
		"the agent accepts, and no more": func(t *testing.T) string {
			return hanging(t, upgraded(func(httpstream.Stream, <-chan struct{}) error { return nil }))
		},
		"the agent begins to answer": func(t *testing.T) string {
			return hanging(t, upgraded(func(s httpstream.Stream, replied <-chan struct{}) error {
				go func() {
					<-replied
					_, _ = io.WriteString(s, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n# half")
				}()
				return nil
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			tunnels, err := Forwarding(&rest.Config{Host: server(t)})
			if err != nil {
				t.Fatal(err)
			}
			limits := Limits{Each: 300 * time.Millisecond}
			limits.Defaults()
			answered := make(chan error, 1)
			go func() {
				answers, err := limits.ask(context.Background(), tunnels, crowd(1))
				answered <- errors.Join(err, answers["agent-node-1"].Err)
			}()
			select {
			case err := <-answered:
				if err == nil || err.Error() != "no answer within 300ms" {
					t.Errorf("answer: %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("it still waits")
			}
		})
	}
}

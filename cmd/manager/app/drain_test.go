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
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"switchyard.dev/switchyard/test/testenv/ports"
)

// serveReviews serves one path as the manager does, until the context ends.
func serveReviews(t *testing.T, ctx context.Context, judge http.HandlerFunc) (server *drainingServer, url string, ended <-chan struct{}) {
	t.Helper()
	certs := httptest.NewUnstartedServer(nil)
	certs.StartTLS()
	certs.Close()
	port, err := ports.Free()
	if err != nil {
		t.Fatal(err)
	}
	server = &drainingServer{Server: webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, TLSOpts: []func(*tls.Config){
		func(config *tls.Config) {
			config.NextProtos = []string{"http/1.1"}
			config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certs.TLS.Certificates[0], nil }
		},
	}})}
	server.Register("/judge", judge)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Start(ctx); err != nil {
			t.Error(err)
		}
	}()
	started := server.StartedChecker()
	for started(nil) != nil {
		select {
		case <-done:
			t.FailNow()
		case <-time.After(time.Millisecond):
		}
	}
	return server, fmt.Sprintf("https://127.0.0.1:%d/judge", port), done
}

func caller() *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

func judgement(ctx context.Context, client *http.Client, url string) (answer string, closes bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return "", false, err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", false, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return string(text), response.Close, err
}

func TestWhatIsBeingJudgedAtTheEndIsJudged(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	judging, goOn := make(chan struct{}), make(chan struct{})
	_, url, ended := serveReviews(t, ctx, func(w http.ResponseWriter, r *http.Request) {
		close(judging)
		<-goOn
		_, _ = fmt.Fprintf(w, "denied, %v", r.Context().Err())
	})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if answer, _, err := judgement(t.Context(), caller(), url); answer != "denied, <nil>" {
			t.Errorf("the answer is %q, %v", answer, err)
		}
	}()
	<-judging
	stop()
	for { // The server has begun to end once nobody can connect any more.
		conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/judge"))
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(goOn)
	<-answered
	<-ended
}

func TestNobodyIsJudgedWhoHasLeft(t *testing.T) {
	noticed := make(chan struct{})
	leaving, leave := context.WithCancel(t.Context())
	_, url, _ := serveReviews(t, t.Context(), func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http looks for who leaves once it has all
		leave()
		<-r.Context().Done()
		close(noticed)
	})
	if _, _, err := judgement(leaving, caller(), url); !errors.Is(err, context.Canceled) {
		t.Errorf("the answer is %v", err)
	}
	<-noticed
}

// Callers that never pause are those whom a replica that ends leads away: each is
// answered, until it can not connect any more.
func TestEachChangeIsJudgedUntilNobodyCanConnect(t *testing.T) {
	t.Run("by a manager that is told to end", func(t *testing.T) {
		ending, end := context.WithCancel(t.Context())
		serving, stop := context.WithCancel(t.Context())
		defer stop()
		expectAllLedAway(t, serving, func(server *drainingServer) {
			drained, cancel := server.drainedAfter(ending)
			t.Cleanup(cancel)
			context.AfterFunc(drained, stop)
			end()
		})
	})
	t.Run("by one that has lost its lease", func(t *testing.T) {
		serving, stop := context.WithCancel(t.Context())
		expectAllLedAway(t, serving, func(server *drainingServer) {
			stop() // and the manager waits for nothing
			server.wait()
		})
	})
}

// expectAllLedAway has callers ask a server while it ends.
func expectAllLedAway(t *testing.T, serving context.Context, end func(*drainingServer)) {
	t.Helper()
	server, url, ended := serveReviews(t, serving, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "denied, %v", r.Context().Err())
	})
	var callers sync.WaitGroup
	first := make(chan struct{}, 4)
	for range cap(first) {
		callers.Go(func() {
			client := caller() // keeps its connection, as API servers do
			for asked := 0; ; asked++ {
				answer, closes, err := judgement(t.Context(), client, url)
				switch {
				case errors.Is(err, syscall.ECONNREFUSED):
					t.Error("the server ended before it had led everybody away")
					return
				case answer != "denied, <nil>" || err != nil:
					t.Errorf("the answer is %q, %v", answer, err)
					return
				case asked == 0:
					first <- struct{}{}
				case closes:
					return // The next one connects to another replica.
				}
			}
		})
	}
	for range cap(first) {
		<-first
	}
	if server.ending.Load() {
		t.Error("the server is drained before it is to end")
	}
	end(server)
	callers.Wait()
	<-ended
	if _, _, err := judgement(t.Context(), caller(), url); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the end the answer is %v", err)
	}
}

func TestAServerEndsOnceNobodyAsks(t *testing.T) {
	for name, tc := range map[string]struct {
		asked time.Duration // before the end
		every time.Duration // since
		takes time.Duration
	}{
		"never asked":     {asked: -1},
		"asked long ago":  {asked: 2 * drainIdle},
		"quiet":           {asked: drainIdle / 2, takes: drainQuiet},
		"asked all along": {every: drainQuiet / 2, takes: drainLimit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &drainingServer{}
				var callers sync.WaitGroup
				defer callers.Wait()
				if tc.asked >= 0 {
					server.note(time.Now().Add(-tc.asked))
				}
				if tc.every > 0 {
					callers.Go(func() {
						for range 2 * drainLimit / tc.every {
							time.Sleep(tc.every)
							server.note(time.Now())
						}
					})
				}
				began := time.Now()
				server.drain()
				if took := time.Since(began); took != tc.takes {
					t.Errorf("it took %v, want %v", took, tc.takes)
				}
			})
		})
	}
}

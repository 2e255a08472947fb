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

package probe

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"switchyard.dev/switchyard/test/testenv/ports"
)

func TestRun(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("path " + r.URL.Path))
	}))
	defer web.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	closed, err := ports.Address()
	if err != nil {
		t.Fatal(err)
	}

	for name, tc := range map[string]struct {
		request Request
		want    Outcome
		text    string
	}{
		"an HTTP server answers the path asked for": {
			Request{Protocol: "http", Address: web.Listener.Addr().String(), Path: "/x"}, Answered, "path /x"},
		"a closed TCP port refuses": {
			Request{Protocol: "tcp", Address: closed}, Refused, ""},
		"a closed UDP port refuses": {
			Request{Protocol: "udp", Address: closed}, Refused, ""},
		"a server that says nothing times out": {
			Request{Protocol: "tcp", Address: silent.Addr().String(), Timeout: 50 * time.Millisecond}, TimedOut, ""},
		"a server that says nothing is content with a connection": {
			Request{Protocol: "tcp", Address: silent.Addr().String(), ConnectOnly: true}, Answered, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tc.request.Count = 2
			if tc.want != TimedOut {
				tc.request.Timeout = time.Minute // which nothing here needs
			}
			answers, err := Run(context.Background(), tc.request)
			if err != nil {
				t.Fatal(err)
			}
			if len(answers) != 2 {
				t.Fatalf("%d answers, want 2", len(answers))
			}
			for _, a := range answers {
				if a.Outcome != tc.want || a.Text != tc.text {
					t.Errorf("outcome %s, text %q (%s), want %s, %q", a.Outcome, a.Text, a.Error, tc.want, tc.text)
				}
				if a.Port == 0 && tc.request.Protocol != "http" {
					t.Errorf("it is not known where %+v came from", a)
				}
			}
		})
	}
}

func TestRunRefusesWhatItCanNotAsk(t *testing.T) {
	for name, r := range map[string]Request{
		"an unknown protocol":   {Protocol: "icmp", Address: "127.0.0.1:1", Count: 1},
		"no attempt":            {Protocol: "tcp", Address: "127.0.0.1:1", Count: 0},
		"an unbounded request":  {Protocol: "tcp", Address: "127.0.0.1:1", Count: 10_001},
		"a port without a host": {Protocol: "tcp", Address: ":1", Count: 1},
		"no port":               {Protocol: "tcp", Address: "127.0.0.1", Count: 1},
		"a port out of range":   {Protocol: "tcp", Address: "127.0.0.1:99999", Count: 1},
		"a negative timeout":    {Protocol: "tcp", Address: "127.0.0.1:1", Count: 1, Timeout: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Run(context.Background(), r); err == nil {
				t.Error("no error")
			}
		})
	}
}

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

package echo_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/localcluster/echo"
	"switchyard.dev/switchyard/internal/localcluster/echo/sctp"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

var identity = echo.Identity{
	Pod: "web-1", Namespace: "shop", Node: "node-1", Container: "main",
	IPs: []netip.Addr{netip.MustParseAddr("10.244.1.5"), netip.MustParseAddr("fd00:10:244:1::5")},
}

// fixture is a server in a namespace that has only a loopback.
type fixture struct {
	t      *testing.T
	ns     *netns.Namespace
	server *echo.Server
	log    *syncBuffer
}

type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func start(t *testing.T, ports ...echo.Port) *fixture {
	t.Helper()
	ns := prereq.Namespace(t)
	f := &fixture{t: t, ns: ns, log: &syncBuffer{}}
	var err error
	if f.server, err = echo.Start(echo.Config{Identity: identity, Ports: ports, Namespace: ns, Log: f.log, ReadinessPath: "/probe"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.server.Close)
	return f
}

func (f *fixture) dial(network, address string) net.Conn {
	f.t.Helper()
	var conn net.Conn
	err := f.ns.Do(func() (err error) {
		conn, err = net.DialTimeout(network, address, time.Minute)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

func (f *fixture) http(path string, header http.Header) (string, int) {
	f.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(_ context.Context, network, address string) (net.Conn, error) {
		return f.dial(network, address), nil
	}}}
	request, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:80"+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header = header
	response, err := client.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(body), response.StatusCode
}

func decode(t *testing.T, line string) echo.Reply {
	t.Helper()
	var reply echo.Reply
	if err := json.Unmarshal([]byte(line), &reply); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	return reply
}

func want(protocol, ip string, port uint16, client net.Addr, received string) echo.Reply {
	return echo.Reply{
		Pod: "web-1", Namespace: "shop", Container: "main", Node: "node-1",
		IP: ip, Port: port, Protocol: protocol, Client: client.String(), Received: received, Bytes: len(received),
	}
}

func TestALineIsAnsweredWithALine(t *testing.T) {
	f := start(t, echo.Port{Number: 7, Protocol: "TCP"})
	for host, ip := range map[string]string{"127.0.0.1": "10.244.1.5", "::1": "fd00:10:244:1::5"} {
		conn := f.dial("tcp", net.JoinHostPort(host, "7"))
		reader := bufio.NewReader(conn)
		for _, text := range []string{"hello", "GETTING on", "G"} {
			_, _ = fmt.Fprintf(conn, "%s\r\n", text)
			line, err := reader.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want("TCP", ip, 7, conn.LocalAddr(), text), decode(t, line)); diff != "" {
				t.Errorf("reply to %q (-want +got):\n%s", text, diff)
			}
		}
	}
}

func TestAClientThatOnlyListensIsAnsweredToo(t *testing.T) {
	f := start(t, echo.Port{Number: 7, Protocol: "TCP"})
	for name, act := range map[string]func(*net.TCPConn){
		"silent":      func(*net.TCPConn) {},
		"half closed": func(c *net.TCPConn) { _ = c.CloseWrite() },
		"no newline":  func(c *net.TCPConn) { _, _ = c.Write([]byte("GE")); _ = c.CloseWrite() },
	} {
		conn := f.dial("tcp", "127.0.0.1:7")
		act(conn.(*net.TCPConn))
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || decode(t, line).Pod != "web-1" {
			t.Errorf("%s: %q, %v", name, line, err)
		}
	}
}

func TestLongInputIsAnsweredWithItsBeginning(t *testing.T) {
	f := start(t, echo.Port{Number: 7, Protocol: "TCP"}, echo.Port{Number: 7, Protocol: "UDP"})
	for network, size := range map[string]int{"tcp": 10000, "udp": 30000} {
		conn := f.dial(network, "127.0.0.1:7")
		_, _ = fmt.Fprintf(conn, "%s\n", strings.Repeat("x", size))
		line, err := bufio.NewReaderSize(conn, 4096).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if reply := decode(t, line); reply.Bytes != size || len(reply.Received) != 1024 {
			t.Errorf("%s: %d of %d bytes came back, %d were counted", network, len(reply.Received), size, reply.Bytes)
		}
	}
}

func TestADatagramIsAnsweredWithALine(t *testing.T) {
	f := start(t, echo.Port{Number: 53, Protocol: "UDP"})
	for host, ip := range map[string]string{"127.0.0.1": "10.244.1.5", "127.0.0.9": "10.244.1.5", "::1": "fd00:10:244:1::5"} {
		conn := f.dial("udp", net.JoinHostPort(host, "53")) // connected: hears that address only
		_, _ = conn.Write([]byte("query"))
		buffer := make([]byte, 4096)
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		if diff := cmp.Diff(want("UDP", ip, 53, conn.LocalAddr(), "query"), decode(t, string(buffer[:n]))); diff != "" {
			t.Errorf("reply from %s (-want +got):\n%s", host, diff)
		}
	}
}

func TestAMessageIsAnsweredOverSCTP(t *testing.T) {
	f := start(t, echo.Port{Number: 7, Protocol: "SCTP"}, echo.Port{Number: 8, Protocol: "SCTP"})
	for to, ip := range map[string]string{"127.0.0.1:7": "10.244.1.5", "[::1]:8": "fd00:10:244:1::5"} {
		remote := netip.MustParseAddrPort(to)
		var conn *sctp.Conn
		err := f.ns.Do(func() (err error) {
			conn, err = sctp.Dial(t.Context(), remote)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Send([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		answer, err := conn.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want("SCTP", ip, remote.Port(), net.TCPAddrFromAddrPort(conn.LocalAddr()), "hello"), decode(t, string(answer))); diff != "" {
			t.Errorf("reply (-want +got):\n%s", diff)
		}
		_ = conn.Close()
	}
}

func TestHTTPTellsWhoAnswered(t *testing.T) {
	f := start(t, echo.Port{Number: 80, Protocol: "TCP"})
	text, _ := f.http("/any/path?x=1", nil)
	for _, want := range []string{"pod:       shop/web-1\n", "pod IP:    10.244.1.5\n", "port:      80/TCP\n", "request:   GET /any/path?x=1\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("text lacks %q:\n%s", want, text)
		}
	}
	for name, body := range map[string]func() (string, int){
		"query":  func() (string, int) { return f.http("/?format=json", nil) },
		"header": func() (string, int) { return f.http("/", http.Header{"Accept": {"application/json"}}) },
	} {
		text, _ := body()
		if reply := decode(t, text); reply.Pod != "web-1" || reply.Client == "" {
			t.Errorf("JSON by %s: %s", name, text)
		}
	}
	if name, _ := f.http("/hostname", nil); name != "web-1\n" {
		t.Errorf("/hostname says %q", name)
	}
	if client, _ := f.http("/clientip", nil); !strings.HasPrefix(client, "127.0.0.1:") {
		t.Errorf("/clientip says %q", client)
	}
	if log := f.log.String(); !strings.Contains(log, `"GET /any/path?x=1" 200`) {
		t.Errorf("log %q", log)
	}
}

func TestReadinessIsASwitch(t *testing.T) {
	f := start(t, echo.Port{Number: 80, Protocol: "TCP"})
	probe := http.Header{"User-Agent": {"kube-probe/1.37"}}
	state := func() [5]int {
		var codes [5]int
		for i, path := range []string{"/ready", "/readyz", "/healthz", "/probe"} {
			_, codes[i] = f.http(path, probe)
		}
		_, codes[4] = f.http("/probe", nil) // a user's request of the probe's path
		return codes
	}
	if got := state(); got != [5]int{200, 200, 200, 200, 200} || !f.server.Ready() {
		t.Errorf("at first %v", got)
	}
	f.http("/ready?set=false", nil)
	if got := state(); got != [5]int{503, 503, 200, 503, 200} || f.server.Ready() {
		t.Errorf("unready %v", got)
	}
	f.http("/ready?set=true", nil)
	f.http("/healthz?set=false", nil)
	if got := state(); got != [5]int{200, 200, 503, 200, 200} || !f.server.Ready() {
		t.Errorf("ready but unhealthy %v", got)
	}
	if _, code := f.http("/ready?set=perhaps", nil); code != http.StatusBadRequest {
		t.Errorf("set=perhaps answered %d", code)
	}
	if log := f.log.String(); strings.Contains(log, `"GET /probe" 503`) {
		t.Errorf("probes are logged: %q", log)
	}
}

func TestAPortInUseIsNamed(t *testing.T) {
	f := start(t, echo.Port{Number: 80, Protocol: "TCP"})
	_, err := echo.Start(echo.Config{Identity: identity, Namespace: f.ns, Ports: []echo.Port{{Number: 81, Protocol: "TCP"}, {Number: 80, Protocol: "TCP"}}})
	if err == nil || !strings.Contains(err.Error(), "opening port 80/TCP") {
		t.Errorf("error %v", err)
	}
	again, err := echo.Start(echo.Config{Identity: identity, Namespace: f.ns, Ports: []echo.Port{{Number: 81, Protocol: "TCP"}}})
	if err != nil {
		t.Fatalf("the other port was left open: %v", err)
	}
	again.Close()
}

func TestCloseEndsConnections(t *testing.T) {
	f := start(t, echo.Port{Number: 7, Protocol: "TCP"})
	conn := f.dial("tcp", "127.0.0.1:7")
	_, _ = fmt.Fprintln(conn, "hello")
	reader := bufio.NewReader(conn)
	if _, err := reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	f.server.Close()
	if _, err := reader.ReadString('\n'); err == nil {
		t.Error("the connection is still open")
	}
}

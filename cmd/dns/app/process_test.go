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
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// asProgram has the test binary be switchyard-dns.
const asProgram = "SWITCHYARD_DNS_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// program is switchyard-dns in a process of its own.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	port  string
	log   log
	ended chan struct{}
}

// log is what the process says.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// launch starts the program, which listens on that port, and waits until it knows
// the cluster.
func launch(t *testing.T, port string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(os.Args[0], args...), port: port, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asProgram+"=yes")
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("it says:\n%s", p.log.String())
		}
	})
	p.await("the cluster is known", func() bool {
		answer, err := p.ask("tcp", clusterName)
		return err == nil && len(answer.Answer) == 1
	})
	return p
}

// clusterName is the one that the API server has.
const clusterName = "web.shop.svc.cluster.local."

// await waits until something is so, as long as the program runs.
func (p *program) await(what string, so func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); {
		select {
		case <-p.ended:
			p.t.Fatalf("it has ended before %s:\n%s", what, p.log.String())
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("after a minute: not %s:\n%s", what, p.log.String())
		}
	}
}

func (p *program) ask(network, name string) (*dns.Msg, error) {
	c := &dns.Client{Net: network, Timeout: 20 * time.Second}
	answer, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), "127.0.0.1:"+p.port)
	return answer, err
}

// answers fails the test unless the cluster's name has its address.
func (p *program) answers(when string) {
	p.t.Helper()
	for _, network := range []string{"udp", "tcp"} {
		answer, err := p.ask(network, clusterName)
		if err != nil || len(answer.Answer) != 1 || answer.Answer[0].(*dns.A).A.String() != "10.96.0.7" {
			p.t.Fatalf("%s, over %s: %v, %v", when, network, answer, err)
		}
	}
}

func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// memory is what the process has of the machine's, in bytes.
func (p *program) memory() int {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kilobytes, err := strconv.Atoi(number)
	if err != nil {
		p.t.Fatal(err)
	}
	return kilobytes << 10
}

// clusterKubeconfig is that of an API server of the test's.
func clusterKubeconfig(t *testing.T) string {
	t.Helper()
	return writeFile(t, "kubeconfig", `{clusters: [{name: c, cluster: {server: "`+apiServer(t).URL+`"}}], contexts: [{name: c, context: {cluster: c}}], current-context: c}`)
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// upstream is a DNS server somewhere else. It says that no name exists, or nothing
// at all.
func upstream(t *testing.T, silent bool) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		if silent {
			return
		}
		m := new(dns.Msg)
		m.SetRcode(r, dns.RcodeNameError)
		soa, err := dns.NewRR("com. 900 IN SOA a.example. b.example. 1 900 900 900 900")
		if err != nil {
			t.Error(err)
		}
		m.Ns = []dns.RR{soa}
		_ = w.WriteMsg(m)
	})}
	ended := make(chan struct{})
	go func() { _ = server.ActivateAndServe(); close(ended) }()
	t.Cleanup(func() { _ = conn.Close(); <-ended })
	return conn.LocalAddr().String()
}

// get is the status and text of a page.
func get(port, path string) string {
	answer, err := http.Get("http://127.0.0.1:" + port + path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	body, _ := io.ReadAll(answer.Body)
	return fmt.Sprint(answer.StatusCode, " ", string(body))
}

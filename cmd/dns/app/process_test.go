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
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"switchyard.dev/switchyard/test/testenv/process"
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
	*process.Process
	t    *testing.T
	port string
}

// launch starts the program, which listens on that port, and waits until it knows
// the cluster.
func launch(t *testing.T, port string, args ...string) *program {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=yes")
	p := &program{process.Run(t, cmd, nil), t, port}
	p.Await(t, "the cluster is known", func() bool {
		answer, err := p.ask("tcp", clusterName)
		return err == nil && len(answer.Answer) == 1
	})
	return p
}

// clusterName is the one that the API server has.
const clusterName = "web.shop.svc.cluster.local."

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

// memory is what the process has of the machine's, in bytes.
func (p *program) memory() int64 {
	p.t.Helper()
	memory, err := p.ResidentMemory()
	if err != nil {
		p.t.Fatal(err)
	}
	return memory
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

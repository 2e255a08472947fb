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

package discovery

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"       // a directive
	_ "github.com/coredns/coredns/plugin/kubernetes" // the peer
	_ "github.com/coredns/coredns/plugin/template"   // the world outside
	"github.com/miekg/dns"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/internal/discovery/plugin"
	"switchyard.dev/switchyard/test/testenv"
)

var prepare = sync.OnceValue(func() error {
	caddy.Quiet, dnsserver.Quiet = true, true
	plugin.Register()
	return dnsserver.SetDirectives([]string{"bind", "template", "kubernetes", plugin.Name})
})

// cluster is an API server.
type cluster struct {
	client     kubernetes.Interface
	kubeconfig string
}

func startCluster(t *testing.T) cluster {
	t.Helper()
	env, err := testenv.New()
	if err != nil {
		t.Fatal(err)
	}
	env.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.96.0.0/16,fd00:96::/112")
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	config.QPS = -1
	user, err := env.AddUser(envtest.User{Name: "dns", Groups: []string{"system:masters"}}, config)
	if err != nil {
		t.Fatal(err)
	}
	c := cluster{client: kubernetes.NewForConfigOrDie(config), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	content, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.kubeconfig, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// outside answers for example.com, and that nobody.example.com does not exist.
const outside = `
	template IN A example.com {
		match ^(?i)example\.com\.$
		answer "{{ .Name }} 60 IN A 192.0.2.1"
	}
	template IN ANY nobody.example.com {
		rcode NXDOMAIN
	}`

// server is one that answers at an address.
type server struct {
	conn *dns.Conn
}

// startServer starts CoreDNS with the plugin that the word names.
func startServer(t *testing.T, c cluster, word, options string) *server {
	t.Helper()
	if err := prepare(); err != nil {
		t.Fatal(err)
	}
	corefile := fmt.Sprintf(".:0 {\n bind 127.0.0.1\n%s\n %s %s in-addr.arpa ip6.arpa {\n kubeconfig %s\n startup_timeout 60s\n %s\n }\n}\n", outside, word, zone, c.kubeconfig, options)
	instance, err := caddy.Start(caddy.CaddyfileInput{Filepath: "Corefile", Contents: []byte(corefile), ServerTypeName: "dns"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		instance.ShutdownCallbacks()
		if err := instance.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := (&dns.Client{Net: "udp", UDPSize: dns.MaxMsgSize}).Dial(instance.Servers()[0].LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &server{conn: conn}
}

// reply is what of an answer does not depend on order.
type reply struct {
	Rcode         string
	Authoritative bool
	Truncated     bool
	Answer        []string
	Authority     []string
	Additional    []string
}

// ask asks for all that fits into one packet.
func (s *server) ask(t *testing.T, name string, kind uint16) reply {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, kind)
	m.SetEdns0(dns.MaxMsgSize, false)
	if err := s.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := s.conn.WriteMsg(m); err != nil {
		t.Fatalf("asking for %s: %v", name, err)
	}
	answer, err := s.conn.ReadMsg()
	if err != nil || answer.Id != m.Id {
		t.Fatalf("answer to %s %s is %v, %v", name, dns.TypeToString[kind], answer, err)
	}
	return reply{dns.RcodeToString[answer.Rcode], answer.Authoritative, answer.Truncated, lines(answer.Answer), lines(answer.Ns), lines(answer.Extra)}
}

func lines(rrs []dns.RR) []string {
	var texts []string
	for _, rr := range rrs {
		switch r := rr.(type) {
		case *dns.OPT:
			continue
		case *dns.SOA:
			r.Serial = 0 // a time
		}
		texts = append(texts, rr.String())
	}
	slices.Sort(texts)
	return texts
}

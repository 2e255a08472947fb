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
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/command"
)

// output runs the program and returns its exit code and what it printed.
func output(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Main(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestFlagsStandForACorefile(t *testing.T) {
	code, got, stderr := output("--print-config", "--listen=10.96.0.10,fd00::a", "--kubeconfig=/etc/k", "--forward=192.0.2.53", "--ready-probe-bind-address=", "--reverse-zones=10.0.0.0/8")
	if code != 0 {
		t.Fatal(stderr)
	}
	want := `.:53 {
    bind 10.96.0.10 fd00::a
    errors
    health 127.0.0.1:8080 {
        lameduck 5s
    }
    prometheus 127.0.0.1:9153
    switchyard cluster.local 10.0.0.0/8 {
        kubeconfig /etc/k
        pods disabled
        fallthrough 10.0.0.0/8
    }
    forward . 192.0.2.53 {
        max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWrongFlags(t *testing.T) {
	for args, want := range map[string]string{
		"--listen=localhost":       "--listen=localhost",
		"--listen=":                "--listen is empty",
		"--zone=":                  "--zone is empty",
		"--zone=a b":               "has a character",
		"--forward=1.1.1.1 {":      "has a character",
		"--config=/does/not/exist": "--config",
		"--nonsense":               "unknown flag",
		"serve":                    "unexpected argument",
	} {
		if code, _, stderr := output("--print-config", args); code != command.Misuse || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %q", args, code, stderr)
		}
	}
}

// installed is the Corefile of config/dns.
func installed(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "dns", "corefile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var object corev1.ConfigMap
	if err := yaml.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	return object.Data["Corefile"]
}

// A Corefile of many clusters, with one word changed.
func TestTheCorefilesOfClustersAreTaken(t *testing.T) {
	if err := prepare(); err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{clusters: [{name: c, cluster: {server: "https://192.0.2.1"}}], contexts: [{name: c, context: {cluster: c}}], current-context: c}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, generated, stderr := output("--print-config", "--kubeconfig="+kubeconfig)
	if code != 0 {
		t.Fatal(stderr)
	}
	for name, corefile := range map[string]string{
		"generated": generated,
		"installed": strings.Replace(installed(t), "pods disabled", "pods disabled\nkubeconfig KUBECONFIG", 1),
		"kubeadm": `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    switchyard cluster.local in-addr.arpa ip6.arpa {
       kubeconfig KUBECONFIG
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . 192.0.2.53 {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}`,
		"with rewrites, hosts, stub domains": `cluster.local:53 {
    errors
    rewrite name exact db.example.com db.shop.svc.cluster.local
    switchyard {
       kubeconfig KUBECONFIG
       endpoint_pod_names
    }
    log
    bufsize 1232
}
example.com:53 {
    forward . 192.0.2.54
    cache 30
}
.:53 {
    hosts {
        192.0.2.9 gate.example.net
        fallthrough
    }
    template ANY ANY internal {
        rcode NXDOMAIN
    }
    forward . 192.0.2.53
    cache 30
}`,
	} {
		t.Run(name, func(t *testing.T) {
			input := caddy.CaddyfileInput{Filepath: name, Contents: []byte(strings.ReplaceAll(corefile, "KUBECONFIG", kubeconfig)), ServerTypeName: serverType}
			if err := caddy.ValidateAndExecuteDirectives(input, nil, true); err != nil {
				t.Error(err)
			}
		})
	}
}

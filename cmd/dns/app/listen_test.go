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
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// It listens on what it is told to and on nothing else: who can reach a node does
// not thereby reach its metrics.
func TestItListensWhereItIsToldTo(t *testing.T) {
	kubeconfig := clusterKubeconfig(t)
	port, metrics, health, ready := freePort(t), freePort(t), freePort(t), freePort(t)
	common := []string{"--kubeconfig=" + kubeconfig, "--port=" + port, "--forward=" + upstream(t, false)}
	probes := []string{"--metrics-bind-address=127.0.0.1:" + metrics, "--health-probe-bind-address=127.0.0.1:" + health, "--ready-probe-bind-address=127.0.0.2:" + ready}
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"all":           {append(slices.Clone(probes), "--listen=127.0.0.1"), []string{"127.0.0.1:" + port, "127.0.0.1:" + metrics, "127.0.0.1:" + health, "127.0.0.2:" + ready}},
		"no probes":     {[]string{"--listen=127.0.0.1,127.0.0.3", "--metrics-bind-address=", "--health-probe-bind-address=", "--ready-probe-bind-address="}, []string{"127.0.0.1:" + port, "127.0.0.3:" + port}},
		"both families": {[]string{"--metrics-bind-address=", "--health-probe-bind-address=", "--ready-probe-bind-address="}, []string{"127.0.0.1:" + port, "::1:" + port}},
	} {
		t.Run(name, func(t *testing.T) {
			p := launch(t, port, append(slices.Clone(common), tc.args...)...)
			if name == "all" {
				for _, page := range []string{get(metrics, "/metrics"), get(health, "/health")} {
					if !strings.HasPrefix(page, "200 ") {
						t.Errorf("%.200s", page)
					}
				}
			}
			slices.Sort(tc.want)
			if diff := cmp.Diff(tc.want, listening(t, p.PID(), "tcp", "0A")); diff != "" {
				t.Errorf("over TCP (-want +got):\n%s", diff)
			}
			for _, at := range listening(t, p.PID(), "udp", "07") {
				if strings.HasSuffix(at, ":"+port) && !slices.Contains(tc.want, at) {
					t.Errorf("over UDP also %s", at)
				}
			}
		})
	}
}

// listening are the addresses of a process's sockets in that state, which
// /proc/net/tcp and its like have in hexadecimal.
func listening(t *testing.T, pid int, network, state string) []string {
	t.Helper()
	own := map[string]bool{}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil { // or it has just been closed
			own[target] = true
		}
	}
	all := []string{}
	for _, file := range []string{network, network + "6"} {
		text, err := os.ReadFile("/proc/net/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) > 9 && fields[3] == state && own["socket:["+fields[9]+"]"] {
				all = append(all, addressOf(t, fields[1]))
			}
		}
	}
	slices.Sort(all)
	return all
}

// addressOf reads "0100007F:0035": words in the machine's order of bytes.
func addressOf(t *testing.T, hexadecimal string) string {
	t.Helper()
	host, port, _ := strings.Cut(hexadecimal, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	switch host {
	case strings.Repeat("0", 24) + "01000000":
		return fmt.Sprint("::1:", number)
	case strings.Repeat("0", 32):
		return fmt.Sprint(":::", number)
	}
	word, err := strconv.ParseUint(host, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d.%d.%d.%d:%d", byte(word), byte(word>>8), byte(word>>16), byte(word>>24), number)
}

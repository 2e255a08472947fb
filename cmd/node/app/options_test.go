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
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

func TestMistakesAreOneClearSentence(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	const text = `{apiVersion: v1, kind: Config, current-context: a, contexts: [{name: a, context: {cluster: a}}], clusters: [{name: a, cluster: {server: "http://127.0.0.1:1"}}]}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for name, tc := range map[string]struct {
		args     []string
		needRoot bool
		wantCode int
		want     string
	}{
		"an unknown flag": {[]string{"--bogus"}, false, exitUsage, "unknown flag: --bogus"},
		"an argument":     {[]string{"start"}, false, exitUsage, `unexpected argument "start": there are only flags`},
		"an address without port": {[]string{"--healthz-bind-address=10.0.0.1"}, false, exitUsage,
			"--healthz-bind-address=10.0.0.1 is not an address: give IP:PORT, as in 127.0.0.1:10249"},
		"a bad cluster CIDR": {[]string{"--cluster-cidr=10.0.0.0/8,x"}, false, exitUsage,
			`--cluster-cidr: "x" is not a CIDR: give one of each IP family, as in 10.244.0.0/16,fd00:10:244::/56`},
		"a mode of kube-proxy that we do not have": {[]string{"--detect-local-mode=InterfaceNamePrefix"}, false, exitUsage,
			"--detect-local-mode=InterfaceNamePrefix is not supported yet: use ClusterCIDR or NodeCIDR"},
		"a mode that nobody has": {[]string{"--detect-local-mode=x"}, false, exitUsage,
			"--detect-local-mode=x does not exist: use ClusterCIDR or NodeCIDR"},
		"primary among CIDRs": {[]string{"--nodeport-addresses=primary,10.0.0.0/8"}, false, exitUsage,
			`--nodeport-addresses: "primary" is neither a CIDR, as in 192.0.2.0/24, nor the single word primary`},
		"loopback NodePorts as mapped addresses": {[]string{"--nodeport-addresses=::ffff:127.0.0.0/104"}, false, exitUsage,
			"--nodeport-addresses: ::ffff:127.0.0.0/104: NodePorts do not answer on loopback addresses, leave it out"},
		"loopback NodePorts": {[]string{"--nodeport-addresses=127.0.0.0/8"}, false, exitUsage,
			"--nodeport-addresses: 127.0.0.0/8: NodePorts do not answer on loopback addresses, leave it out"},
		"a negative number": {[]string{"--conntrack-min=-1"}, false, exitUsage,
			"--conntrack-min is negative: give 0 to leave the kernel's value"},
		"no kubeconfig outside of a cluster": {nil, false, exitFailed, "this is not a pod of a cluster"},
		"an unreadable kubeconfig": {[]string{"--kubeconfig=/nonexistent"}, false, exitFailed,
			"--kubeconfig=/nonexistent: stat /nonexistent: no such file or directory: give the path of a kubeconfig that this user can read"},
		"a port in use": {[]string{"--kubeconfig=" + kubeconfig, "--healthz-bind-address=" + taken.Addr().String()}, true, exitFailed,
			"--healthz-bind-address=" + taken.Addr().String() + ": the address is in use by another program, perhaps kube-proxy or another switchyard-node: stop it or choose another address"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.needRoot {
				prereq.Root(t)
			}
			var stdout, stderr bytes.Buffer
			if code := Main(tc.args, &stdout, &stderr); code != tc.wantCode {
				t.Errorf("exit code %d, want %d", code, tc.wantCode)
			}
			if said := stderr.String(); !strings.HasPrefix(said, "switchyard-node: "+tc.want) {
				t.Errorf("said %q\nwant  %q", said, tc.want)
			}
		})
	}
}

func TestCleaningUpWithoutTheCapabilityNamesIt(t *testing.T) {
	prereq.Root(t)
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ns.Close() }()
	var stdout, stderr bytes.Buffer
	err = ns.Do(func() error {
		// This thread ends with the function, and its credentials with it.
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			return err
		}
		Main([]string{"--cleanup"}, &stdout, &stderr)
		return nil
	})
	if said := stderr.String(); err != nil || !strings.Contains(said, "the capability CAP_NET_ADMIN is missing") {
		t.Errorf("%v, said %q", err, said)
	}
}

func TestAClusterCIDROfMappedAddressesIsIPv4(t *testing.T) {
	cidrs, err := parseClusterCIDR("::ffff:10.244.1.2/112, fd00::1/56")
	if got := fmt.Sprint(cidrs, err); got != "[10.244.0.0/16 fd00::/56] <nil>" {
		t.Errorf("read %s", got)
	}
}

func TestVersionIsPrinted(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := Main([]string{"--version"}, &stdout, &stderr); code != 0 || !strings.HasPrefix(stdout.String(), "switchyard-node ") {
		t.Errorf("exit code %d, printed %q and %q", code, stdout.String(), stderr.String())
	}
}

func TestConntrackSettings(t *testing.T) {
	var o ConntrackOptions
	o.Defaults()
	for cpus, want := range map[int]int{1: 131072, 8: 262144, 256: 1048576} {
		if got := o.sysctls(cpus)[0]; got != (sysctl{"nf_conntrack_max", want}) {
			t.Errorf("%d CPUs: %v, want %d", cpus, got, want)
		}
	}
	o = ConntrackOptions{TCPBeLiberal: true, UDPTimeout: 90 * time.Second}
	want := []sysctl{{"nf_conntrack_udp_timeout", 90}, {"nf_conntrack_tcp_be_liberal", 1}}
	if diff := cmp.Diff(want, o.sysctls(4), cmp.AllowUnexported(sysctl{})); diff != "" {
		t.Errorf("sysctls (-want +got):\n%s", diff)
	}
}

func TestTheTableOfConnectionsIsNeverMadeSmaller(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []struct {
		name string
		held string
		set  int
		want string
	}{
		{"nf_conntrack_max", "1000\n", 2000, "2000"},
		{"nf_conntrack_max", "3000\n", 2000, "3000\n"},
		{"nf_conntrack_udp_timeout", "180\n", 60, "60"},
	} {
		path := filepath.Join(dir, step.name)
		if err := os.WriteFile(path, []byte(step.held), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (sysctl{step.name, step.set}).set(dir); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != step.want {
			t.Errorf("%s was %q, asked for %d: %q, want %q", step.name, step.held, step.set, got, step.want)
		}
	}
	if err := (sysctl{"missing", 1}).set(dir); err == nil {
		t.Error("a setting that the kernel does not have was set")
	}
}

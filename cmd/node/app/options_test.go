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

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/command"
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
		args        []string
		inNamespace bool
		wantCode    int
		want        string
	}{
		"an unknown flag": {[]string{"--bogus"}, false, command.Misuse, "unknown flag: --bogus"},
		"an argument":     {[]string{"start"}, false, command.Misuse, `unexpected argument "start": there are only flags, and the command render`},
		"a name for an address": {[]string{"--healthz-bind-address=localhost:1"}, false, command.Misuse,
			"--healthz-bind-address=localhost:1 is not an address: give IP:PORT, as in 127.0.0.1:10249"},
		"a port that does not exist": {[]string{"--metrics-bind-address=127.0.0.1:65536"}, false, command.Misuse,
			"--metrics-bind-address=127.0.0.1:65536 is not an address: give IP:PORT, as in 127.0.0.1:10249"},
		"no node address": {[]string{"--bind-address=node-1"}, false, command.Misuse,
			"--bind-address=node-1 is not an IP address: give the node's primary one or leave it out"},
		"two cluster CIDRs of one family": {[]string{"--cluster-cidr=10.0.0.0/8,10.1.0.0/16"}, false, command.Misuse,
			"--cluster-cidr=10.0.0.0/8,10.1.0.0/16: give at most one CIDR of each IP family, as in 10.244.0.0/16,fd00:10:244::/56"},
		"a bad cluster CIDR": {[]string{"--cluster-cidr=10.0.0.0/8,x"}, false, command.Misuse,
			`--cluster-cidr: "x" is not a CIDR: give one of each IP family, as in 10.244.0.0/16,fd00:10:244::/56`},
		"a prefix that begins no name": {[]string{"--detect-local-mode=InterfaceNamePrefix"}, false, command.Misuse,
			`--pod-interface-name-prefix="" can not begin the name of an interface: give 1 to 15 characters of one`},
		"a bridge that can not be": {[]string{"--detect-local-mode=BridgeInterface", "--pod-bridge-interface=sixteen-letters-"}, false, command.Misuse,
			`--pod-bridge-interface="sixteen-letters-" can not begin the name of an interface: give 1 to 15 characters of one`},
		"a score that does not exist": {[]string{"--oom-score-adj=1001"}, false, command.Misuse,
			"--oom-score-adj=1001 is out of range: give a number from -1000 to 1000"},
		"a mistake in what is ignored": {[]string{"--ipvs-sync-period=soon"}, false, command.Misuse,
			`invalid argument "soon" for "--ipvs-sync-period"`},
		"a period of zero": {[]string{"--iptables-sync-period=0"}, false, command.Misuse,
			"--iptables-sync-period=0s is too short: give a duration above zero, as in 30s"},
		"a mode of Windows": {[]string{"--proxy-mode=kernelspace"}, false, command.Misuse,
			"--proxy-mode=kernelspace does not exist: use iptables or ipvs or nftables"},
		"half a protection": {[]string{"--protect-table=maybe"}, false, command.Misuse,
			"--protect-table=maybe does not exist: use auto or on or off"},
		"a mode that nobody has": {[]string{"--detect-local-mode=x"}, false, command.Misuse,
			"--detect-local-mode=x does not exist: use ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix"},
		"a word that is none": {[]string{"--nodeport-addresses=first,10.0.0.0/8"}, false, command.Misuse,
			`--nodeport-addresses: "first" is neither a CIDR, as in 192.0.2.0/24, nor one of the words primary, localhost and all`},
		"a word twice": {[]string{"--nodeport-addresses=all,all"}, false, command.Misuse, `--nodeport-addresses: all is there twice: leave one out`},
		"a negative number": {[]string{"--conntrack-min=-1"}, false, command.Misuse,
			"--conntrack-min is negative: give 0 to leave the kernel's value"},
		"no kubeconfig outside of a cluster": {nil, false, command.Failed, "this is not a pod of a cluster"},
		"an unreadable kubeconfig": {[]string{"--kubeconfig=/nonexistent"}, false, command.Failed,
			"--kubeconfig=/nonexistent: stat /nonexistent: no such file or directory: give the path of a kubeconfig that this user can read"},
		// This one gets as far as the kernel, of which it is to leave the machine's part alone.
		"a port in use": {[]string{"--kubeconfig=" + kubeconfig, "--bind-address-hard-fail", "--healthz-bind-address=" + taken.Addr().String(),
			"--conntrack-max-per-core=0", "--oom-score-adj=0"}, true, command.Failed,
			"--healthz-bind-address=" + taken.Addr().String() + ": the address is in use by another program, perhaps kube-proxy or another switchyard-node: stop it or choose another address"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			var code int
			if tc.inNamespace {
				prereq.Root(t)
				if err := newNamespace(t).Do(func() error { code = Main(tc.args, &stdout, &stderr); return nil }); err != nil {
					t.Fatal(err)
				}
			} else {
				code = Main(tc.args, &stdout, &stderr)
			}
			if code != tc.wantCode {
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

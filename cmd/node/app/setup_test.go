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

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/test/prereq"
)

func TestConntrackIsSizedByTheMachine(t *testing.T) {
	for cpus, want := range map[int]int{1: 131072, 8: 262144, 256: 1048576} {
		if got := settingsOf(t, cpus)[0]; got != (kernelSetting{"proc/sys/net/netfilter/nf_conntrack_max", want, true}) {
			t.Errorf("%d CPUs: %v, want %d", cpus, got, want)
		}
	}
}

func TestOnlyWhatIsAskedForIsSet(t *testing.T) {
	none := []string{"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0"}
	if got := settingsOf(t, 4, none...); len(got) != 0 {
		t.Errorf("set without being asked: %v", got)
	}
	got := settingsOf(t, 4, append(none, "--conntrack-tcp-be-liberal", "--conntrack-udp-timeout=90s", "--nodeports-on-localhost")...)
	want := []kernelSetting{
		{conntrackSysctls + "udp_timeout", 90, false}, {conntrackSysctls + "tcp_be_liberal", 1, false}, {routeLocalnet, 1, false},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(kernelSetting{})); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func settingsOf(t *testing.T, cpus int, args ...string) []kernelSetting {
	t.Helper()
	r, err := resolve(args)
	if err != nil {
		t.Fatal(err)
	}
	return r.options.kernelSettings(cpus)
}

func TestTheTableOfConnectionsIsNeverMadeSmaller(t *testing.T) {
	root := t.TempDir()
	for _, step := range []struct {
		setting kernelSetting
		held    string
		want    string
	}{
		{kernelSetting{"max", 2000, true}, "1000\n", "2000"},
		{kernelSetting{"max", 2000, true}, "3000\n", "3000\n"},
		{kernelSetting{"timeout", 60, false}, "180\n", "60"},
	} {
		path := filepath.Join(root, step.setting.path)
		if err := os.WriteFile(path, []byte(step.held), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := step.setting.set(root); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != step.want {
			t.Errorf("%s was %q, asked for %d: %q, want %q", step.setting.path, step.held, step.setting.value, got, step.want)
		}
	}
}

func TestEverySettingThatStaysAsItIsIsNamed(t *testing.T) {
	err := apply(settingsOf(t, 1, "--nodeports-on-localhost"), t.TempDir())
	for _, name := range []string{
		"setting net.netfilter.nf_conntrack_max to 131072", "setting /sys/module/nf_conntrack/parameters/hashsize to 32768",
		"setting net.netfilter.nf_conntrack_tcp_timeout_established to 86400", "setting net.ipv4.conf.all.route_localnet to 1",
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q is missing in: %v", name, err)
		}
	}
}

func TestInitOnlySetsTheKernelUpAndLeavesNothingElse(t *testing.T) {
	prereq.Root(t)
	nft := prereq.Tool(t, "nft", "nftables")
	ns := newNamespace(t)
	var stdout, stderr bytes.Buffer
	run := func(args ...string) (code int) {
		t.Helper()
		if err := ns.Do(func() error { code = Main(append([]string{"--init-only"}, args...), &stdout, &stderr); return nil }); err != nil {
			t.Fatal(err)
		}
		return code
	}
	// The size of the table of connections is the machine's, not a namespace's.
	args := []string{"--conntrack-max-per-core=0", "--conntrack-udp-timeout=77s", "--nodeports-on-localhost"}
	if code := run(args...); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	for name, want := range map[string]string{
		"netfilter/nf_conntrack_udp_timeout": "77", "netfilter/nf_conntrack_tcp_timeout_established": "86400", "ipv4/conf/all/route_localnet": "1",
	} {
		if got := strings.TrimSpace(runIn(t, ns, "", "cat", "/proc/sys/net/"+name)); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if tables := runIn(t, ns, "", nft, "list", "tables"); tables != "" {
		t.Errorf("tables were left:\n%s", tables)
	}
	if code := run("--conntrack-max-per-core=1000000", "--conntrack-min=0"); code != exitFailed || !strings.Contains(stderr.String(), "--init-only: setting net.netfilter.nf_conntrack_max to 1048576") {
		t.Errorf("what can not be set: exit code %d, said %q", code, &stderr)
	}
}

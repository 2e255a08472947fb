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

	"switchyard.dev/switchyard/internal/command"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/netns"
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

// One timeout in the place of another would be set without a word.
func TestEachConntrackFlagSetsItsOwnSysctl(t *testing.T) {
	prereq.Root(t)
	ns := newNamespace(t)
	for flag, want := range map[string]struct{ value, sysctl, read string }{
		"tcp-timeout-established": {"1001s", "tcp_timeout_established", "1001"},
		"tcp-timeout-close-wait":  {"1002s", "tcp_timeout_close_wait", "1002"},
		"udp-timeout":             {"1003s", "udp_timeout", "1003"},
		"udp-timeout-stream":      {"1004s", "udp_timeout_stream", "1004"},
		"tcp-be-liberal":          {"true", "tcp_be_liberal", "1"},
	} {
		asked := settingsOf(t, 4, "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
			"--conntrack-"+flag+"="+want.value)
		before := conntrackFiles(t, ns)
		if err := ns.Do(func() error { return apply(asked, "/") }); err != nil {
			t.Fatal(err)
		}
		before[conntrackSysctls+want.sysctl] = want.read
		if diff := cmp.Diff(before, conntrackFiles(t, ns)); diff != "" {
			t.Errorf("--conntrack-%s sets (-want +got):\n%s", flag, diff)
		}
	}
}

// conntrackFiles are all settings of connection tracking that ns has for itself.
func conntrackFiles(t *testing.T, ns *netns.Namespace) map[string]string {
	t.Helper()
	files := map[string]string{}
	out := runIn(t, ns, "", "grep", "-s", "", "-r", "/proc/sys/net/netfilter")
	for line := range strings.Lines(out) {
		if path, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && strings.Contains(path, "/nf_conntrack_") {
			files[strings.TrimPrefix(path, "/")] = value
		}
	}
	for _, machines := range []string{"max", "buckets"} {
		delete(files, conntrackSysctls+machines)
	}
	return files
}

func TestIPv6IsOnWhereAnInterfaceMayHaveIt(t *testing.T) {
	for name, tc := range map[string]struct {
		disabled map[string]string
		want     bool
	}{
		"no IPv6 in the kernel":       {nil, false},
		"off":                         {map[string]string{"all": "1", "default": "1", "lo": "1", "eth0": "1"}, false},
		"on":                          {map[string]string{"all": "0", "default": "0", "lo": "0", "eth0": "0"}, true},
		"off, but on for one":         {map[string]string{"all": "1", "default": "1", "lo": "1", "eth0": "0"}, true},
		"on for those that come":      {map[string]string{"all": "1", "default": "0", "lo": "1"}, true},
		"each off by itself":          {map[string]string{"all": "0", "default": "1", "lo": "1", "eth0": "1"}, false},
		"a directory that is no more": {map[string]string{"all": "1", "default": "1", "gone": ""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			conf := t.TempDir()
			for i, off := range tc.disabled {
				if err := os.Mkdir(filepath.Join(conf, i), 0o755); err != nil {
					t.Fatal(err)
				}
				if off == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(conf, i, "disable_ipv6"), []byte(off+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := hasIPv6(conf); got != tc.want {
				t.Errorf("on: %v", got)
			}
		})
	}
}

func TestCleaningUpTakesTheTablesOfAFamilyThatIsOffNow(t *testing.T) {
	prereq.Root(t)
	nft := prereq.Tool(t, "nft", "nftables")
	ns := newNamespace(t)
	runIn(t, ns, "add table ip switchyard; add table ip6 switchyard; add table ip6 other", nft, "-f", "-")
	runIn(t, ns, "", "sh", "-c", "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done")
	var stdout, stderr bytes.Buffer
	var left []model.Family
	if err := ns.Do(func() error { left = families(); Main([]string{"--cleanup"}, &stdout, &stderr); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(left) != 1 {
		t.Fatalf("the namespace has %v", left)
	}
	if tables := strings.TrimSpace(runIn(t, ns, "", nft, "list", "tables")); tables != "table ip6 other" {
		t.Errorf("said %q; tables that are left:\n%s", &stderr, tables)
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
	if code := run("--conntrack-max-per-core=1000000", "--conntrack-min=0"); code != command.Failed || !strings.Contains(stderr.String(), "--init-only: setting net.netfilter.nf_conntrack_max to 1048576") {
		t.Errorf("what can not be set: exit code %d, said %q", code, &stderr)
	}
}

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
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

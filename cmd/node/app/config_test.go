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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"
)

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const header = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

// kubeadm is the file as kubeadm writes it, most of it empty.
const kubeadm = header + `
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection: {acceptContentTypes: "", burst: 0, contentType: "", kubeconfig: /var/lib/kube-proxy/kubeconfig.conf, qps: 0}
clusterCIDR: 10.244.0.0/16,fd00:10:244::/56
configSyncPeriod: 0s
conntrack: {maxPerCore: null, min: null, tcpBeLiberal: false, tcpCloseWaitTimeout: null, tcpEstablishedTimeout: 10m, udpStreamTimeout: 0s, udpTimeout: 0s}
detectLocal: {bridgeInterface: "", interfaceNamePrefix: ""}
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables: {localhostNodePorts: null, masqueradeAll: true, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 40s}
ipvs: {excludeCIDRs: null, minSyncPeriod: 0s, scheduler: "", strictARP: false, syncPeriod: 0s, tcpFinTimeout: 0s, tcpTimeout: 0s, udpTimeout: 0s}
logging: {flushFrequency: 0, options: {json: {infoBufferSize: "0"}, text: {infoBufferSize: "0"}}, verbosity: 0}
metricsBindAddress: 0.0.0.0
mode: iptables
nftables: {masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s}
nodePortAddresses: [172.18.0.0/16]
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
`

func resolveFile(t *testing.T, text string, args ...string) resolved {
	t.Helper()
	r, err := resolve(append(args, "--config="+writeConfig(t, text)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKubeProxysConfigurationIsTakenAsItIs(t *testing.T) {
	r := resolveFile(t, kubeadm, "--hostname-override=N1 ", "--cluster-cidr=10.0.0.0/8", "--ipvs-strict-arp", "--docker-only", "--feature-gates=A=true")
	wantIgnored := []string{"--docker-only=true", "--ipvs-strict-arp=true", "featureGates.A: true", "iptables.syncPeriod: 40s", "mode: iptables"}
	if diff := cmp.Diff(wantIgnored, r.ignored); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}
	got := r.options.Proxy
	want := newOptions(proxyconfig.KubeProxyConfiguration{}).Proxy
	want.ClientConnection.Kubeconfig = "/var/lib/kube-proxy/kubeconfig.conf"
	want.HostnameOverride = "n1"
	want.ClusterCIDR = "10.0.0.0/8" // the flag wins
	want.NodePortAddresses = []string{"172.18.0.0/16"}
	want.IPTables.MasqueradeAll, want.NFTables.MasqueradeAll = true, true
	want.IPTables.SyncPeriod.Duration = 40 * time.Second
	want.IPVS.StrictARP = true
	want.FeatureGates = map[string]bool{"A": true}
	want.Mode = "iptables"
	want.MetricsBindAddress = "0.0.0.0:10249"
	want.Conntrack.TCPEstablishedTimeout.Duration = 10 * time.Minute
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if !r.options.MasqueradeAll {
		t.Error("masqueradeAll of the file's mode was not taken")
	}
}

func TestMasqueradeAllIsThatOfTheFilesMode(t *testing.T) {
	for text, want := range map[string]bool{
		"mode: iptables\nnftables: {masqueradeAll: true}": false,
		"mode: nftables\nnftables: {masqueradeAll: true}": true,
		"mode: nftables\niptables: {masqueradeAll: true}": false,
		"iptables: {masqueradeAll: true}":                 true,
	} {
		if got := resolveFile(t, header+text).options.MasqueradeAll; got != want {
			t.Errorf("%q: masquerade all is %v", text, got)
		}
	}
}

func TestTheServersListenInTheFamilyOfTheBindAddress(t *testing.T) {
	p := resolveFile(t, header+"bindAddress: fd00::1\n").options.Proxy
	if p.HealthzBindAddress != "[::]:10256" || p.MetricsBindAddress != "[::1]:10249" {
		t.Errorf("they listen on %s and %s", p.HealthzBindAddress, p.MetricsBindAddress)
	}
}

func TestPortsOfZeroTurnServersOff(t *testing.T) {
	r, err := resolve([]string{"--healthz-port=0", "--metrics-port=0"})
	if err != nil || r.options.Proxy.HealthzBindAddress+r.options.Proxy.MetricsBindAddress != "" {
		t.Errorf("%v, they listen on %q and %q", err, r.options.Proxy.HealthzBindAddress, r.options.Proxy.MetricsBindAddress)
	}
}

func TestAConfigurationThatCanNotBeMeant(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"an unknown key": {header + "clusterCIDRs: x\n", `unknown field "clusterCIDRs"`},
		"a key twice":    {header + "mode: a\nmode: b\n", `key "mode" already set`},
		"something else": {"apiVersion: v1\nkind: ConfigMap\n", `this is "ConfigMap" of "v1": give a KubeProxyConfiguration`},
		"no YAML":        {"}", "--config="},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := readConfig(writeConfig(t, tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
	if _, _, err := readConfig("/nonexistent"); err == nil || !strings.Contains(err.Error(), "--config: open /nonexistent") {
		t.Errorf("a missing file: %v", err)
	}
}

// What means nothing here is checked, too.
func TestMistakesInKeysWithoutAFlag(t *testing.T) {
	for text, want := range map[string]string{
		"nftables: {masqueradeBit: 32}":                   "nftables.masqueradeBit: 32 is out of range: give a number from 0 to 31",
		"nftables: {syncPeriod: -1s}":                     "nftables.syncPeriod: -1s is too short: give a duration above zero, as in 30s",
		"nftables: {minSyncPeriod: -1s}":                  "nftables.minSyncPeriod: -1s is too short: give a duration above zero, as in 30s",
		"nftables: {syncPeriod: 5s, minSyncPeriod: 10s}":  "nftables.syncPeriod: 5s is shorter than the minimum period, 10s: give at least that",
		"iptables: {syncPeriod: 5s, minSyncPeriod: 10s}":  "--iptables-sync-period=5s is shorter than the minimum period, 10s: give at least that",
		"nftables: {syncPeriod: 10s, minSyncPeriod: 10s}": "",
	} {
		_, err := resolve([]string{"--config=" + writeConfig(t, header+text)})
		if got := fmt.Sprint(err); want != "" && got != want || want == "" && err != nil {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

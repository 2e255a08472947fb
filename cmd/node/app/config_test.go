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
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
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
iptables: {localhostNodePorts: null, masqueradeAll: true, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 30s}
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

func TestKubeProxysConfigurationIsTakenAsItIs(t *testing.T) {
	config, ignored, err := readConfig(writeConfig(t, kubeadm))
	if err != nil {
		t.Fatal(err)
	}
	wantIgnored := []string{"bindAddress", "iptables.syncPeriod"}
	if diff := cmp.Diff(wantIgnored, ignored); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}
	var got, want Options
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	got.Defaults()
	got.AddFlags(flags)
	if err := flags.Parse([]string{"--hostname-override=n1", "--cluster-cidr=10.0.0.0/8"}); err != nil {
		t.Fatal(err)
	}
	got.applyConfig(config, flags)
	want.Defaults()
	want.Kubeconfig = "/var/lib/kube-proxy/kubeconfig.conf"
	want.HostnameOverride = "n1"
	want.ClusterCIDR = "10.0.0.0/8" // the flag wins
	want.NodePortAddresses = []string{"172.18.0.0/16"}
	want.MasqueradeAll = true
	want.MetricsBindAddress = "0.0.0.0:10249"
	want.Conntrack.TCPTimeoutEstablished = 10 * time.Minute
	if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(zap.Options{}), cmpopts.IgnoreUnexported(Options{})); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
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

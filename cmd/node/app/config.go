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
	"cmp"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	logsapi "k8s.io/component-base/logs/api/v1"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"
	"sigs.k8s.io/yaml"
)

const (
	healthzPort = 10256
	metricsPort = 10249
	protobuf    = "application/vnd.kubernetes.protobuf"
	// oomScore makes the kernel end almost anything else first, as kubelet's
	// and kube-proxy's own scores do.
	oomScore = -999
	// proxyMode is what we answer to who asks how this node proxies.
	proxyMode = "nftables"
)

// The values of detectLocalMode.
const (
	modeClusterCIDR         = "ClusterCIDR"
	modeNodeCIDR            = "NodeCIDR"
	modeBridgeInterface     = "BridgeInterface"
	modeInterfaceNamePrefix = "InterfaceNamePrefix"
)

// readConfig reads a KubeProxyConfiguration as it is, and its text, which is
// there also if it can not be used. A key that kube-proxy does not know is an
// error.
func readConfig(path string) (config proxyconfig.KubeProxyConfiguration, text []byte, err error) {
	if text, err = os.ReadFile(path); err != nil {
		return config, nil, fmt.Errorf("--config: %w: give the path of a KubeProxyConfiguration that this user can read", err)
	}
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return config, text, fmt.Errorf("--config=%s: %w: correct or remove the key", path, err)
	}
	if config.Kind != "KubeProxyConfiguration" || config.APIVersion != proxyconfig.SchemeGroupVersion.String() {
		return config, text, fmt.Errorf("--config=%s: this is %q of %q: give a KubeProxyConfiguration of %q",
			path, config.Kind, config.APIVersion, proxyconfig.SchemeGroupVersion)
	}
	return config, text, nil
}

// setDefaults gives what is empty kube-proxy's defaults, but for those that
// differ between its modes: here they are always the ones of nftables.
func setDefaults(c *proxyconfig.KubeProxyConfiguration) {
	c.SetGroupVersionKind(proxyconfig.SchemeGroupVersion.WithKind("KubeProxyConfiguration"))
	setServerDefaults(c)
	if len(c.NodePortAddresses) == 0 {
		c.NodePortAddresses = []string{"primary"}
	}
	c.Mode = cmp.Or(c.Mode, proxyMode)
	c.DetectLocalMode = cmp.Or(c.DetectLocalMode, modeClusterCIDR)
	c.OOMScoreAdj = cmp.Or(c.OOMScoreAdj, new(int32(oomScore)))
	c.ConfigSyncPeriod.Duration = cmp.Or(c.ConfigSyncPeriod.Duration, 15*time.Minute)

	c.Conntrack.MaxPerCore = cmp.Or(c.Conntrack.MaxPerCore, new(int32(32*1024)))
	c.Conntrack.Min = cmp.Or(c.Conntrack.Min, new(int32(128*1024)))
	c.Conntrack.TCPEstablishedTimeout = cmp.Or(c.Conntrack.TCPEstablishedTimeout, &metav1.Duration{Duration: 24 * time.Hour})
	c.Conntrack.TCPCloseWaitTimeout = cmp.Or(c.Conntrack.TCPCloseWaitTimeout, &metav1.Duration{Duration: time.Hour})

	c.ClientConnection.ContentType = cmp.Or(c.ClientConnection.ContentType, protobuf)
	c.ClientConnection.QPS = cmp.Or(c.ClientConnection.QPS, 5)
	c.ClientConnection.Burst = cmp.Or(c.ClientConnection.Burst, 10)
	setModeDefaults(c)
	logsapi.SetRecommendedLoggingConfiguration(&c.Logging)
}

// setServerDefaults lets the servers listen in the family of bindAddress, the
// only other use that it has.
func setServerDefaults(c *proxyconfig.KubeProxyConfiguration) {
	c.BindAddress = cmp.Or(c.BindAddress, "0.0.0.0")
	everywhere, loopback := "0.0.0.0", "127.0.0.1"
	if strings.Contains(c.BindAddress, ":") {
		everywhere, loopback = "::", "::1"
	}
	c.HealthzBindAddress = cmp.Or(c.HealthzBindAddress, net.JoinHostPort(everywhere, strconv.Itoa(healthzPort)))
	c.MetricsBindAddress = cmp.Or(c.MetricsBindAddress, net.JoinHostPort(loopback, strconv.Itoa(metricsPort)))
}

// setModeDefaults fills in what only says something about kube-proxy's modes,
// so that what somebody has set can be told from it.
func setModeDefaults(c *proxyconfig.KubeProxyConfiguration) {
	c.IPTables.MasqueradeBit = cmp.Or(c.IPTables.MasqueradeBit, new(int32(14)))
	c.NFTables.MasqueradeBit = cmp.Or(c.NFTables.MasqueradeBit, new(int32(14)))
	c.IPTables.LocalhostNodePorts = cmp.Or(c.IPTables.LocalhostNodePorts, new(true))
	for _, period := range []*metav1.Duration{&c.IPTables.SyncPeriod, &c.IPVS.SyncPeriod, &c.NFTables.SyncPeriod} {
		period.Duration = cmp.Or(period.Duration, 30*time.Second)
	}
	for _, period := range []*metav1.Duration{&c.IPTables.MinSyncPeriod, &c.IPVS.MinSyncPeriod, &c.NFTables.MinSyncPeriod} {
		period.Duration = cmp.Or(period.Duration, time.Second)
	}
}

// masqueradeAll is the field of the mode that the file is meant for; without a
// mode, either.
func masqueradeAll(c proxyconfig.KubeProxyConfiguration) bool {
	switch c.Mode {
	case "iptables", "ipvs":
		return c.IPTables.MasqueradeAll
	case proxyMode:
		return c.NFTables.MasqueradeAll
	}
	return c.IPTables.MasqueradeAll || c.NFTables.MasqueradeAll
}

// serverAddress completes an address that may come without port; portFlag is 0
// when the server is turned off.
func serverAddress(address string, portFlag int32, port int) string {
	if address == "" || portFlag == 0 {
		return ""
	}
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), strconv.Itoa(port))
}

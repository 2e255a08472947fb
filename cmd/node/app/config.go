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
	"net"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"
	"sigs.k8s.io/yaml"
)

// readConfig reads a KubeProxyConfiguration. It names in ignored what the file
// sets without any meaning here; a key that kube-proxy does not know either is
// an error.
func readConfig(path string) (config proxyconfig.KubeProxyConfiguration, ignored []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return config, nil, fmt.Errorf("--config: %w: give the path of a KubeProxyConfiguration that this user can read", err)
	}
	if err := yaml.UnmarshalStrict(text, &config); err != nil {
		return config, nil, fmt.Errorf("--config=%s: %w: correct or remove the key", path, err)
	}
	if config.Kind != "KubeProxyConfiguration" || config.APIVersion != proxyconfig.SchemeGroupVersion.String() {
		return config, nil, fmt.Errorf("--config=%s: this is %q of %q: give a KubeProxyConfiguration of %q",
			path, config.Kind, config.APIVersion, proxyconfig.SchemeGroupVersion)
	}
	var keys map[string]any
	if err := yaml.Unmarshal(text, &keys); err != nil {
		return config, nil, fmt.Errorf("--config=%s: %w", path, err)
	}
	ignored = slices.DeleteFunc(setKeys("", keys), understood)
	slices.Sort(ignored)
	return config, ignored, nil
}

// setKeys are the paths of all keys with a value that is not empty.
func setKeys(prefix string, value any) []string {
	switch v := value.(type) {
	case map[string]any:
		var paths []string
		for key, inner := range v {
			paths = append(paths, setKeys(strings.TrimPrefix(prefix+"."+key, "."), inner)...)
		}
		return paths
	case nil:
		return nil
	case []any:
		if len(v) == 0 {
			return nil
		}
	case string, bool, float64:
		if v == "" || v == false || v == 0.0 || v == "0s" || v == "0" {
			return nil
		}
	}
	return []string{prefix}
}

// understood is true for keys that mean here what they mean to kube-proxy.
// mode is among them: whichever it was, nftables takes its place.
func understood(path string) bool {
	return strings.HasPrefix(path, "conntrack.") || slices.Contains([]string{
		"apiVersion", "kind", "mode", "clientConnection.kubeconfig", "clientConnection.qps", "clientConnection.burst",
		"hostnameOverride", "clusterCIDR", "detectLocalMode", "nodePortAddresses", "healthzBindAddress",
		"metricsBindAddress", "nftables.masqueradeAll", "iptables.masqueradeAll",
	}, path)
}

// applyConfig takes over what config sets, but for flags given on the command
// line, which win. Empty values mean the default, as kubeadm writes them.
func (o *Options) applyConfig(config proxyconfig.KubeProxyConfiguration, flags *pflag.FlagSet) {
	take(flags, "kubeconfig", &o.Kubeconfig, config.ClientConnection.Kubeconfig)
	take(flags, "kube-api-qps", &o.APIQPS, config.ClientConnection.QPS)
	take(flags, "kube-api-burst", &o.APIBurst, int(config.ClientConnection.Burst))
	take(flags, "hostname-override", &o.HostnameOverride, config.HostnameOverride)
	take(flags, "cluster-cidr", &o.ClusterCIDR, config.ClusterCIDR)
	take(flags, "detect-local-mode", &o.DetectLocalMode, string(config.DetectLocalMode))
	take(flags, "masquerade-all", &o.MasqueradeAll, config.NFTables.MasqueradeAll || config.IPTables.MasqueradeAll)
	take(flags, "healthz-bind-address", &o.HealthzBindAddress, withPort(config.HealthzBindAddress, "10256"))
	take(flags, "metrics-bind-address", &o.MetricsBindAddress, withPort(config.MetricsBindAddress, "10249"))
	if len(config.NodePortAddresses) > 0 && !flags.Changed("nodeport-addresses") {
		o.NodePortAddresses = config.NodePortAddresses
	}
	o.Conntrack.applyConfig(config.Conntrack, flags)
}

func (o *ConntrackOptions) applyConfig(config proxyconfig.KubeProxyConntrackConfiguration, flags *pflag.FlagSet) {
	// Here zero has a meaning of its own, so that unset is nil.
	if config.MaxPerCore != nil && !flags.Changed("conntrack-max-per-core") {
		o.MaxPerCore = int(*config.MaxPerCore)
	}
	if config.Min != nil && !flags.Changed("conntrack-min") {
		o.Min = int(*config.Min)
	}
	if config.TCPEstablishedTimeout != nil && !flags.Changed("conntrack-tcp-timeout-established") {
		o.TCPTimeoutEstablished = config.TCPEstablishedTimeout.Duration
	}
	if config.TCPCloseWaitTimeout != nil && !flags.Changed("conntrack-tcp-timeout-close-wait") {
		o.TCPTimeoutCloseWait = config.TCPCloseWaitTimeout.Duration
	}
	take(flags, "conntrack-tcp-be-liberal", &o.TCPBeLiberal, config.TCPBeLiberal)
	take(flags, "conntrack-udp-timeout", &o.UDPTimeout, config.UDPTimeout.Duration)
	take(flags, "conntrack-udp-timeout-stream", &o.UDPTimeoutStream, config.UDPStreamTimeout.Duration)
}

// take sets option to a value that is not empty, unless its flag was given.
func take[T comparable](flags *pflag.FlagSet, flag string, option *T, value T) {
	var empty T
	if value != empty && !flags.Changed(flag) {
		*option = value
	}
}

// withPort completes an address that the file may give without port.
func withPort(address, port string) string {
	if address == "" {
		return ""
	}
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), port)
}

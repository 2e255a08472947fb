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
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"
)

// meaning is what a setting of kube-proxy's means here.
type meaning string

// The meanings.
const (
	same    meaning = "same"
	differs meaning = "differs"
	ignored meaning = "ignored"
)

// setting is a flag of kube-proxy's, the key of its configuration that says the
// same, or one of the two alone.
type setting struct {
	flag, key string
	meaning   meaning
}

// anotherMasqueradeAll has its effect, if any, through --masquerade-all.
const anotherMasqueradeAll = "iptables.masqueradeAll"

// settings are all that kube-proxy v1.37 has. docs/node-agent.md says of each
// one that is not the same why, and a test compares the two.
var settings = slices.Concat([]setting{
	{"config", "", differs},
	{"write-config-to", "", same},
	{"cleanup", "", differs},
	{"init-only", "", same},
	{"help", "", same},
	{"version", "", same},
	{"kubeconfig", "clientConnection.kubeconfig", same},
	{"master", "", same},
	{"", "clientConnection.acceptContentTypes", same},
	{"kube-api-content-type", "clientConnection.contentType", same},
	{"kube-api-burst", "clientConnection.burst", same},
	{"kube-api-qps", "clientConnection.qps", same},
	{"hostname-override", "hostnameOverride", same},
	{"bind-address", "bindAddress", same},
	{"bind-address-hard-fail", "bindAddressHardFail", same},
	{"healthz-bind-address", "healthzBindAddress", same},
	{"healthz-port", "", same},
	{"metrics-bind-address", "metricsBindAddress", differs},
	{"metrics-port", "", same},
	{"profiling", "enableProfiling", same},
	{"oom-score-adj", "oomScoreAdj", same},
	{"detect-local-mode", "detectLocalMode", same},
	{"cluster-cidr", "clusterCIDR", same},
	{"pod-bridge-interface", "detectLocal.bridgeInterface", same},
	{"pod-interface-name-prefix", "detectLocal.interfaceNamePrefix", same},
	{"masquerade-all", "nftables.masqueradeAll", same},
	{"", anotherMasqueradeAll, same},
	{"nodeport-addresses", "nodePortAddresses", differs},
	{"conntrack-max-per-core", "conntrack.maxPerCore", differs},
	{"conntrack-min", "conntrack.min", same},
	{"conntrack-tcp-timeout-established", "conntrack.tcpEstablishedTimeout", same},
	{"conntrack-tcp-timeout-close-wait", "conntrack.tcpCloseWaitTimeout", same},
	{"conntrack-tcp-be-liberal", "conntrack.tcpBeLiberal", same},
	{"conntrack-udp-timeout", "conntrack.udpTimeout", same},
	{"conntrack-udp-timeout-stream", "conntrack.udpStreamTimeout", same},
	{"v", "logging.verbosity", same},
	{"logging-format", "logging.format", same},
	{"feature-gates", "featureGates", differs},

	{"proxy-mode", "mode", ignored},
	{"iptables-localhost-nodeports", "iptables.localhostNodePorts", ignored},
	{"iptables-masquerade-bit", "iptables.masqueradeBit", ignored},
	{"iptables-min-sync-period", "iptables.minSyncPeriod", ignored},
	{"iptables-sync-period", "iptables.syncPeriod", ignored},
	{"ipvs-exclude-cidrs", "ipvs.excludeCIDRs", ignored},
	{"ipvs-min-sync-period", "ipvs.minSyncPeriod", ignored},
	{"ipvs-scheduler", "ipvs.scheduler", ignored},
	{"ipvs-strict-arp", "ipvs.strictARP", ignored},
	{"ipvs-sync-period", "ipvs.syncPeriod", ignored},
	{"ipvs-tcp-timeout", "ipvs.tcpTimeout", ignored},
	{"ipvs-tcpfin-timeout", "ipvs.tcpFinTimeout", ignored},
	{"ipvs-udp-timeout", "ipvs.udpTimeout", ignored},
	{"", "nftables.masqueradeBit", ignored},
	{"", "nftables.minSyncPeriod", ignored},
	{"", "nftables.syncPeriod", ignored},
	{"config-sync-period", "configSyncPeriod", ignored},
	{"show-hidden-metrics-for-version", "showHiddenMetricsForVersion", ignored},
	{"", "portRange", ignored},
	{"", "windowsRunAsService", ignored},
	{"", "winkernel.enableDSR", ignored},
	{"", "winkernel.forwardHealthCheckVip", ignored},
	{"", "winkernel.networkName", ignored},
	{"", "winkernel.rootHnsEndpointName", ignored},
	{"", "winkernel.sourceVip", ignored},
	{"vmodule", "logging.vmodule", ignored},
	{"log-flush-frequency", "logging.flushFrequency", ignored},
	{"log-text-split-stream", "logging.options.text.splitStream", ignored},
	{"log-text-info-buffer-size", "logging.options.text.infoBufferSize", ignored},
	{"log-json-split-stream", "logging.options.json.splitStream", ignored},
	{"log-json-info-buffer-size", "logging.options.json.infoBufferSize", ignored},
}, librarySettings())

// librarySettings are the flags of cAdvisor.
func librarySettings() []setting {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	addLibraryFlags(fs)
	var list []setting
	fs.VisitAll(func(f *pflag.Flag) { list = append(list, setting{f.Name, "", ignored}) })
	return list
}

// ignored names, as they would be written, the settings that have another value
// than the default one and no meaning here.
func (o *Options) ignored(flags *pflag.FlagSet) []string {
	var defaults proxyconfig.KubeProxyConfiguration
	setDefaults(&defaults)
	values, usual := keyValues(o.Proxy), keyValues(defaults)
	var names []string
	for _, s := range settings {
		switch given := flags.Lookup(s.flag); {
		case s.meaning != ignored:
		case s.key == "" && given.Changed, s.key != "" && values[s.key] != usual[s.key] && given != nil && given.Changed:
			names = append(names, fmt.Sprintf("--%s=%s", s.flag, given.Value))
		case s.key != "" && values[s.key] != usual[s.key]:
			names = append(names, fmt.Sprintf("%s: %s", s.key, values[s.key]))
		}
	}
	names = append(names, o.ignoredGates()...)
	slices.Sort(names)
	return names
}

// The feature gates that have a meaning here.
const (
	gateExternalIPs        = "AllowServiceExternalIPs"
	gateLocalhostNodePorts = "KubeProxyNFTablesLocalhostNodePorts"
)

func (o *Options) ignoredGates() []string {
	var names []string
	for _, gate := range slices.Sorted(maps.Keys(o.Proxy.FeatureGates)) {
		if gate != gateExternalIPs && gate != gateLocalhostNodePorts {
			names = append(names, fmt.Sprintf("featureGates.%s: %t", gate, o.Proxy.FeatureGates[gate]))
		}
	}
	return names
}

// keyValues are the values of all keys of the configuration, as the file would
// have them.
func keyValues(config proxyconfig.KubeProxyConfiguration) map[string]string {
	values := map[string]string{}
	for _, key := range keys("", reflect.ValueOf(config), values) {
		values[key] += ""
	}
	return values
}

// keys adds what is below value to values and returns the paths, by the names
// that the fields have in files.
func keys(prefix string, value reflect.Value, values map[string]string) []string {
	var paths []string
	for i := range value.NumField() {
		field := value.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		inner := value.Field(i)
		switch path := strings.TrimPrefix(prefix+"."+name, "."); {
		case name == "": // of Kubernetes' own, kind and version
			if prefix != "" {
				paths = append(paths, keys(prefix, inner, values)...)
			}
		case inner.Kind() == reflect.Struct && !marshals(inner):
			paths = append(paths, keys(path, inner, values)...)
		default:
			text, _ := json.Marshal(inner.Interface()) // plain values all
			values[path] = strings.Trim(string(text), `"`)
			paths = append(paths, path)
		}
	}
	return paths
}

// marshals says whether a struct is a single value in a file.
func marshals(value reflect.Value) bool {
	marshaler := reflect.TypeFor[json.Marshaler]()
	return value.Type().Implements(marshaler) || reflect.PointerTo(value.Type()).Implements(marshaler)
}

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
	"time"

	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
)

// addProxyFlags offers kube-proxy's flags of v1.37, each bound to the field of
// the configuration that it stands for there. Those that settings.go calls
// ignored are read and checked like the others.
func (o *Options) addProxyFlags(fs *pflag.FlagSet) {
	p := &o.Proxy
	fs.StringVar(&o.Config, "config", o.Config, "file with a KubeProxyConfiguration; flags win over it")
	fs.StringVar(&o.WriteConfigTo, "write-config-to", o.WriteConfigTo, "write the KubeProxyConfiguration in effect to this file and exit")
	fs.BoolVar(&o.Cleanup, "cleanup", o.Cleanup, "remove all rules that this program ever made, with --announce=routes the routes as well, and exit")
	fs.BoolVar(&o.InitOnly, "init-only", o.InitOnly,
		"do what needs more privileges than NET_ADMIN (kernel settings) and exit; the next run does without them")

	fs.StringVar(&p.ClientConnection.Kubeconfig, "kubeconfig", p.ClientConnection.Kubeconfig,
		"kubeconfig of the API server; without it and --master the pod's service account is used")
	fs.StringVar(&o.Master, "master", o.Master, "address of the API server, wins over the kubeconfig's")
	fs.StringVar(&p.ClientConnection.ContentType, "kube-api-content-type", p.ClientConnection.ContentType, "encoding of requests to the API server")
	fs.Int32Var(&p.ClientConnection.Burst, "kube-api-burst", p.ClientConnection.Burst, "requests to the API server at once")
	fs.Float32Var(&p.ClientConnection.QPS, "kube-api-qps", p.ClientConnection.QPS, "requests per second to the API server")

	fs.StringVar(&p.HostnameOverride, "hostname-override", p.HostnameOverride, "name of this node's Node object; the host name otherwise")
	fs.StringVar(&p.BindAddress, "bind-address", p.BindAddress,
		"primary address of this node, in place of the Node object's; nothing is bound to it, and 0.0.0.0 or :: say nothing")
	fs.StringVar(&p.HealthzBindAddress, "healthz-bind-address", p.HealthzBindAddress, "address of /healthz, /livez and /readyz; empty for none")
	fs.StringVar(&p.MetricsBindAddress, "metrics-bind-address", p.MetricsBindAddress, "address of /metrics, /proxyMode and /configz; empty for none")
	fs.BoolVar(&p.BindAddressHardFail, "bind-address-hard-fail", p.BindAddressHardFail,
		"exit when one of these addresses can not be served, in place of trying again every 5 s")
	fs.BoolVar(&p.EnableProfiling, "profiling", p.EnableProfiling, "serve /debug/pprof and /debug/flags/v at --metrics-bind-address")
	fs.StringVar(&p.ShowHiddenMetricsForVersion, "show-hidden-metrics-for-version", p.ShowHiddenMetricsForVersion, unused)
	fs.Int32Var(&o.HealthzPort, "healthz-port", o.HealthzPort, "0 for none")
	fs.Int32Var(&o.MetricsPort, "metrics-port", o.MetricsPort, "0 for none")
	_ = fs.MarkDeprecated("healthz-port", "give --healthz-bind-address= instead")
	_ = fs.MarkDeprecated("metrics-port", "give --metrics-bind-address= instead")

	fs.StringVar((*string)(&p.DetectLocalMode), "detect-local-mode", string(p.DetectLocalMode),
		"how traffic of this node's pods is recognised: ClusterCIDR, NodeCIDR (the Node's spec.podCIDRs), BridgeInterface or InterfaceNamePrefix")
	fs.StringVar(&p.ClusterCIDR, "cluster-cidr", p.ClusterCIDR,
		"address ranges of all pods, at most one of each IP family, comma separated; with ClusterCIDR, traffic to ClusterIPs from elsewhere is masqueraded")
	fs.StringVar(&p.DetectLocal.BridgeInterface, "pod-bridge-interface", p.DetectLocal.BridgeInterface,
		"with BridgeInterface: the bridge that this node's pods are behind")
	fs.StringVar(&p.DetectLocal.InterfaceNamePrefix, "pod-interface-name-prefix", p.DetectLocal.InterfaceNamePrefix,
		"with InterfaceNamePrefix: how the names of the interfaces of this node's pods begin")
	fs.BoolVar(&o.MasqueradeAll, "masquerade-all", o.MasqueradeAll, "masquerade all traffic to ClusterIPs")
	fs.StringSliceVar(&p.NodePortAddresses, "nodeport-addresses", p.NodePortAddresses,
		"node addresses that NodePorts answer on: CIDRs, primary (the Node's first address of each family), all, localhost; a family without any answers on all")
	fs.Var(cliflag.NewMapStringBool(&p.FeatureGates), "feature-gates",
		"kube-proxy's feature gates, as name=true,name=false; two have a meaning here, see docs/node-agent.md")
	fs.DurationVar(&p.ConfigSyncPeriod.Duration, "config-sync-period", p.ConfigSyncPeriod.Duration, unused)

	o.addSetupFlags(fs)
	o.addModeFlags(fs)
	o.addLoggingFlags(fs)
	addLibraryFlags(fs)
}

// unused is the help of flags that have no meaning here.
const unused = "kube-proxy's; accepted, without effect"

func (o *Options) addSetupFlags(fs *pflag.FlagSet) {
	c := &o.Proxy.Conntrack
	fs.Int32Var(o.Proxy.OOMScoreAdj, "oom-score-adj", *o.Proxy.OOMScoreAdj, "how soon the kernel ends this process when memory runs out, -1000 (never) to 1000")
	fs.Int32Var(c.MaxPerCore, "conntrack-max-per-core", *c.MaxPerCore, "connections to track, for each CPU; 0 leaves the kernel's limit")
	fs.Int32Var(c.Min, "conntrack-min", *c.Min, "connections to track at least, unless --conntrack-max-per-core is 0")
	fs.DurationVar(&c.TCPEstablishedTimeout.Duration, "conntrack-tcp-timeout-established", c.TCPEstablishedTimeout.Duration,
		"how long to remember an idle TCP connection; 0 leaves the kernel's value")
	fs.DurationVar(&c.TCPCloseWaitTimeout.Duration, "conntrack-tcp-timeout-close-wait", c.TCPCloseWaitTimeout.Duration,
		"how long to remember a TCP connection in CLOSE_WAIT; 0 leaves the kernel's value")
	fs.BoolVar(&c.TCPBeLiberal, "conntrack-tcp-be-liberal", c.TCPBeLiberal, "let packets outside of the TCP window pass as part of their connection")
	fs.DurationVar(&c.UDPTimeout.Duration, "conntrack-udp-timeout", c.UDPTimeout.Duration,
		"how long to remember a UDP packet without reply; 0 leaves the kernel's value")
	fs.DurationVar(&c.UDPStreamTimeout.Duration, "conntrack-udp-timeout-stream", c.UDPStreamTimeout.Duration,
		"how long to remember a UDP flow; 0 leaves the kernel's value")
}

// addModeFlags offers what belongs to kube-proxy's ways of proxying.
func (o *Options) addModeFlags(fs *pflag.FlagSet) {
	p := &o.Proxy
	fs.StringVar((*string)(&p.Mode), "proxy-mode", string(p.Mode), unused)
	fs.Int32Var(p.IPTables.MasqueradeBit, "iptables-masquerade-bit", *p.IPTables.MasqueradeBit, unused)
	fs.BoolVar(p.IPTables.LocalhostNodePorts, "iptables-localhost-nodeports", *p.IPTables.LocalhostNodePorts, unused)
	fs.DurationVar(&p.IPTables.SyncPeriod.Duration, "iptables-sync-period", p.IPTables.SyncPeriod.Duration, unused)
	fs.DurationVar(&p.IPTables.MinSyncPeriod.Duration, "iptables-min-sync-period", p.IPTables.MinSyncPeriod.Duration, unused)
	fs.DurationVar(&p.IPVS.SyncPeriod.Duration, "ipvs-sync-period", p.IPVS.SyncPeriod.Duration, unused)
	fs.DurationVar(&p.IPVS.MinSyncPeriod.Duration, "ipvs-min-sync-period", p.IPVS.MinSyncPeriod.Duration, unused)
	fs.StringVar(&p.IPVS.Scheduler, "ipvs-scheduler", p.IPVS.Scheduler, unused)
	fs.StringSliceVar(&p.IPVS.ExcludeCIDRs, "ipvs-exclude-cidrs", p.IPVS.ExcludeCIDRs, unused)
	fs.BoolVar(&p.IPVS.StrictARP, "ipvs-strict-arp", p.IPVS.StrictARP, unused)
	fs.DurationVar(&p.IPVS.TCPTimeout.Duration, "ipvs-tcp-timeout", p.IPVS.TCPTimeout.Duration, unused)
	fs.DurationVar(&p.IPVS.TCPFinTimeout.Duration, "ipvs-tcpfin-timeout", p.IPVS.TCPFinTimeout.Duration, unused)
	fs.DurationVar(&p.IPVS.UDPTimeout.Duration, "ipvs-udp-timeout", p.IPVS.UDPTimeout.Duration, unused)
}

func (o *Options) addLoggingFlags(fs *pflag.FlagSet) {
	l := &o.Proxy.Logging
	fs.VarP(logsapi.VerbosityLevelPflag(&l.Verbosity), "v", "v", "how much to log: 0 what changes the state of this program, 2 each write to the kernel, 4 more")
	fs.StringVar(&l.Format, "logging-format", l.Format, "text or json")
	fs.Var(logsapi.VModuleConfigurationPflag(&l.VModule), "vmodule", unused)
	fs.DurationVar(&l.FlushFrequency.Duration.Duration, "log-flush-frequency", l.FlushFrequency.Duration.Duration, unused)
	fs.BoolVar(&l.Options.Text.SplitStream, "log-text-split-stream", l.Options.Text.SplitStream, unused)
	fs.Var(&l.Options.Text.InfoBufferSize, "log-text-info-buffer-size", unused)
	fs.BoolVar(&l.Options.JSON.SplitStream, "log-json-split-stream", l.Options.JSON.SplitStream, unused)
	fs.Var(&l.Options.JSON.InfoBufferSize, "log-json-info-buffer-size", unused)
}

// addLibraryFlags offers the flags that kube-proxy has only because a library
// in it, cAdvisor, brings them. Somebody may have copied one.
func addLibraryFlags(fs *pflag.FlagSet) {
	fs.String("boot-id-file", "/proc/sys/kernel/random/boot_id", unused)
	fs.String("machine-id-file", "/etc/machine-id,/var/lib/dbus/machine-id", unused)
	fs.Bool("allow-dynamic-housekeeping", true, unused)
	fs.Int("application-metrics-count-limit", 100, unused)
	fs.String("container-hints", "/etc/cadvisor/container_hints.json", unused)
	fs.String("containerd", "/run/containerd/containerd.sock", unused)
	fs.String("containerd-env-metadata-whitelist", "", unused)
	fs.String("containerd-namespace", "k8s.io", unused)
	fs.Duration("crio-client-timeout", 0, unused)
	fs.Bool("disable-root-cgroup-stats", false, unused)
	fs.Bool("docker-only", false, unused)
	fs.Bool("enable-load-reader", false, unused)
	fs.String("event-storage-age-limit", "default=0", unused)
	fs.String("event-storage-event-limit", "default=0", unused)
	fs.Duration("global-housekeeping-interval", time.Minute, unused)
	fs.Duration("housekeeping-interval", 10*time.Second, unused)
	fs.Float64("initial-splay-factor", 1, unused)
	fs.Float64("jitter-factor", 1, unused)
	fs.Bool("log-cadvisor-usage", false, unused)
	fs.Duration("max-housekeeping-interval", time.Minute, unused)
	fs.Uint("referenced-reset-interval", 0, unused)
	fs.Duration("storage-driver-buffer-duration", time.Minute, unused)
	fs.String("storage-driver-db", "cadvisor", unused)
	fs.String("storage-driver-host", "localhost:8086", unused)
	fs.String("storage-driver-password", "root", unused)
	fs.Bool("storage-driver-secure", false, unused)
	fs.String("storage-driver-table", "stats", unused)
	fs.String("storage-driver-user", "root", unused)
	fs.Duration("update-machine-info-interval", 5*time.Minute, unused)
}

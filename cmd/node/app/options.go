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
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/internal/command"
)

// Options is everything that can be set: by a KubeProxyConfiguration, by flags,
// which win over it, and by flags of our own.
type Options struct {
	// Proxy is the configuration in effect, with kube-proxy's names.
	Proxy proxyconfig.KubeProxyConfiguration
	// MasqueradeAll stands for the fields of that name of all modes.
	MasqueradeAll bool
	Own           OwnOptions

	Config        string
	WriteConfigTo string
	Master        string
	// HealthzPort and MetricsPort turn a server off when they are 0; they have
	// no other use, in kube-proxy neither.
	HealthzPort, MetricsPort int32

	Cleanup, InitOnly, Version bool

	Zap zap.Options
}

// OwnOptions are what kube-proxy does not have. Their zero values change
// nothing, but for ProtectTable.
type OwnOptions struct {
	// ConfigOptional goes without the file of --config while there is none.
	ConfigOptional bool `json:"-"`
	// CleanupKubeProxy removes what kube-proxy left, in place of running.
	CleanupKubeProxy bool `json:"-"`
	// ProtectTable is on, off or auto: on where the kernel can.
	ProtectTable string `json:"protectTable"`
	// LocalhostNodePorts answers NodePorts on 127.0.0.1.
	LocalhostNodePorts bool `json:"localhostNodePorts"`
	// AnswerEcho answers ping to the addresses of Services.
	AnswerEcho bool `json:"answerEcho"`
	// RejectWithoutLocal refuses what a Local traffic policy would drop.
	RejectWithoutLocal bool `json:"rejectWithoutLocal"`
	// RestrictNodePorts makes loadBalancerSourceRanges hold for NodePorts.
	RestrictNodePorts bool `json:"restrictNodePorts"`
	// CountConnections counts the connections of each Service.
	CountConnections bool `json:"countConnections"`
	// CompressResponses asks the API server for gzip.
	CompressResponses bool `json:"compressResponses"`
	// ServiceProxyName is the value of the label
	// service.kubernetes.io/service-proxy-name of the Services to proxy; empty
	// for those without the label.
	ServiceProxyName string `json:"serviceProxyName"`
	// Announce are the ways to announce load-balancer addresses: l2, routes.
	Announce []string `json:"announce,omitempty"`
	// AnnounceInterfaces are those to answer on at layer 2; none for those that have
	// the node's addresses.
	AnnounceInterfaces []string `json:"announceInterfaces,omitempty"`
	// AnnounceNamespace is the manager's, where the Leases are.
	AnnounceNamespace string `json:"announceNamespace,omitempty"`
	// Routes is how addresses are announced by routes.
	Routes RoutesOptions `json:"routes,omitzero"`
}

// The values of --protect-table.
const (
	protectAuto = "auto"
	protectOn   = "on"
	protectOff  = "off"
)

// newOptions are the defaults, on top of a configuration file if there is one.
func newOptions(config proxyconfig.KubeProxyConfiguration) *Options {
	masquerade := masqueradeAll(config) // before the mode has a default
	setDefaults(&config)
	return &Options{
		Proxy: config, MasqueradeAll: masquerade, Own: OwnOptions{ProtectTable: protectAuto},
		HealthzPort: healthzPort, MetricsPort: metricsPort,
	}
}

// flags offers the options, with their present values as defaults.
func (o *Options) flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("switchyard-node", pflag.ContinueOnError)
	fs.SortFlags = true
	o.addProxyFlags(fs)
	o.Own.addFlags(fs)
	fs.BoolVar(&o.Version, "version", o.Version, "print the version and exit")
	logging := flag.NewFlagSet("logging", flag.ContinueOnError)
	o.Zap.BindFlags(logging)
	fs.AddGoFlagSet(logging)
	return fs
}

func (o *OwnOptions) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&o.ConfigOptional, "config-optional", o.ConfigOptional,
		"take the defaults while the file of --config does not exist; it takes effect when it comes")
	fs.BoolVar(&o.CleanupKubeProxy, "cleanup-kube-proxy", o.CleanupKubeProxy,
		"remove the rules that kube-proxy has left on this node, where the agent is ready, and exit")
	fs.StringVar(&o.ProtectTable, "protect-table", o.ProtectTable,
		"keep others from flushing our tables: on, off, or auto for on where the kernel can (Linux 6.9)")
	fs.BoolVar(&o.LocalhostNodePorts, "nodeports-on-localhost", o.LocalhostNodePorts,
		"answer NodePorts on 127.0.0.1, too; sets net.ipv4.conf.all.route_localnet")
	fs.BoolVar(&o.AnswerEcho, "answer-echo", o.AnswerEcho, "answer ping to the addresses of Services")
	fs.BoolVar(&o.RejectWithoutLocal, "reject-without-local-endpoints", o.RejectWithoutLocal,
		"refuse connections that a Local traffic policy leaves without endpoint, in place of dropping them")
	fs.BoolVar(&o.RestrictNodePorts, "source-ranges-cover-nodeports", o.RestrictNodePorts,
		"make spec.loadBalancerSourceRanges hold for the NodePort of the Service, too")
	fs.BoolVar(&o.CountConnections, "count-connections", o.CountConnections, "count the connections of each Service")
	fs.BoolVar(&o.CompressResponses, "compress-responses", o.CompressResponses,
		"ask the API server to compress what it sends: less traffic, more work for both")
	fs.StringVar(&o.ServiceProxyName, "service-proxy-name", o.ServiceProxyName,
		"proxy the Services whose label service.kubernetes.io/service-proxy-name has this value, in place of those without the label")
	o.addAnnounceFlags(fs)
	o.Routes.addFlags(fs)
}

// resolved is a command line together with the file that it names.
type resolved struct {
	options *Options
	flags   *pflag.FlagSet
	// file is the text of the configuration file, as it was read.
	file []byte
	// ignored names what was set without any meaning here.
	ignored []string
}

// resolve reads the flags in args, then the file that --config names, and takes
// the flags once more, which win over the file. What it returns beside an error
// has the file, if that could be read.
func resolve(args []string) (resolved, error) {
	r := resolved{options: newOptions(proxyconfig.KubeProxyConfiguration{})}
	r.flags = r.options.flags()
	if err := r.flags.Parse(args); err != nil {
		return r, command.Wrong(err)
	}
	if r.options.Config != "" {
		config, text, err := readConfig(r.options.Config)
		r.file = text
		if err != nil && !(r.options.Own.ConfigOptional && errors.Is(err, os.ErrNotExist)) {
			return r, err
		}
		r.options = newOptions(config)
		r.flags = r.options.flags()
		if err := r.flags.Parse(args); err != nil {
			return r, command.Wrong(err)
		}
	}
	if err := r.options.complete(); err != nil {
		return r, command.Wrong(err)
	}
	if err := r.options.Validate(); err != nil {
		return r, command.Wrong(err)
	}
	r.ignored = r.options.ignored(r.flags)
	return r, nil
}

// complete settles what follows from other options.
func (o *Options) complete() error {
	p := &o.Proxy
	p.NFTables.MasqueradeAll = o.MasqueradeAll
	p.HealthzBindAddress = serverAddress(p.HealthzBindAddress, o.HealthzPort, healthzPort)
	p.MetricsBindAddress = serverAddress(p.MetricsBindAddress, o.MetricsPort, metricsPort)
	if p.HostnameOverride != "" {
		if p.HostnameOverride = strings.ToLower(strings.TrimSpace(p.HostnameOverride)); p.HostnameOverride == "" {
			return errors.New("--hostname-override is blank: give the name of the Node object or leave it out")
		}
	}
	return nil
}

// nodeName is the name of the Node object, as kubelet derives it.
func (o *Options) nodeName() (string, error) {
	if o.Proxy.HostnameOverride != "" {
		return o.Proxy.HostnameOverride, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("the host has no name (%w): give --hostname-override", err)
	}
	return strings.ToLower(strings.TrimSpace(host)), nil
}

// differences are the flags whose values are not the same in both, and the keys
// that no flag says.
func differences(a, b resolved) []string {
	var names []string
	a.flags.VisitAll(func(f *pflag.Flag) {
		if f.Value.String() != b.flags.Lookup(f.Name).Value.String() {
			names = append(names, "--"+f.Name)
		}
	})
	before, after := keyValues(a.options.Proxy), keyValues(b.options.Proxy)
	for _, s := range settings {
		if s.flag == "" && s.meaning != ignored && s.key != anotherMasqueradeAll && before[s.key] != after[s.key] {
			names = append(names, s.key)
		}
	}
	slices.Sort(names)
	return names
}

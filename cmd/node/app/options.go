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
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/model"
)

// The values of --detect-local-mode. The last two are kube-proxy's and not
// offered yet.
const (
	modeClusterCIDR         = "ClusterCIDR"
	modeNodeCIDR            = "NodeCIDR"
	modeBridgeInterface     = "BridgeInterface"
	modeInterfaceNamePrefix = "InterfaceNamePrefix"
)

// Options is the command line.
type Options struct {
	Config           string
	Kubeconfig       string
	APIQPS           float32
	APIBurst         int
	HostnameOverride string

	ClusterCIDR       string
	DetectLocalMode   string
	NodePortAddresses []string
	MasqueradeAll     bool

	HealthzBindAddress string
	MetricsBindAddress string

	Conntrack ConntrackOptions

	Cleanup bool
	Version bool

	Zap zap.Options

	// ignored are the keys of the configuration file that mean nothing here.
	ignored []string
}

// Defaults sets what kube-proxy's nftables mode defaults to.
func (o *Options) Defaults() {
	o.APIQPS, o.APIBurst = 5, 10
	o.DetectLocalMode = modeClusterCIDR
	o.HealthzBindAddress = "0.0.0.0:10256"
	o.MetricsBindAddress = "127.0.0.1:10249"
	o.Conntrack.Defaults()
}

// AddFlags offers the options as flags.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Config, "config", o.Config, "file with a KubeProxyConfiguration; flags given as well win over it")
	fs.StringVar(&o.Kubeconfig, "kubeconfig", o.Kubeconfig, "kubeconfig of the API server; without it the pod's service account is used")
	fs.Float32Var(&o.APIQPS, "kube-api-qps", o.APIQPS, "requests per second to the API server")
	fs.IntVar(&o.APIBurst, "kube-api-burst", o.APIBurst, "requests to the API server at once")
	fs.StringVar(&o.HostnameOverride, "hostname-override", o.HostnameOverride, "name of this node's Node object; the host name otherwise")
	fs.StringVar(&o.ClusterCIDR, "cluster-cidr", o.ClusterCIDR,
		"address ranges of all pods, at most one of each IP family, comma separated; traffic to ClusterIPs from elsewhere is masqueraded")
	fs.StringVar(&o.DetectLocalMode, "detect-local-mode", o.DetectLocalMode,
		"how pod traffic is recognised: ClusterCIDR (by --cluster-cidr) or NodeCIDR (by the Node's spec.podCIDRs)")
	fs.StringSliceVar(&o.NodePortAddresses, "nodeport-addresses", o.NodePortAddresses,
		"CIDRs of the node addresses that NodePorts answer on (a family without CIDRs answers on all), "+
			"or \"primary\" for the Node's first InternalIP of each family, the default")
	fs.BoolVar(&o.MasqueradeAll, "masquerade-all", o.MasqueradeAll, "masquerade all traffic to ClusterIPs")
	fs.StringVar(&o.HealthzBindAddress, "healthz-bind-address", o.HealthzBindAddress, "address of /healthz, /livez and /readyz; empty for none")
	fs.StringVar(&o.MetricsBindAddress, "metrics-bind-address", o.MetricsBindAddress, "address of /metrics; empty for none")
	o.Conntrack.AddFlags(fs)
	fs.BoolVar(&o.Cleanup, "cleanup", o.Cleanup, "remove all rules that this program ever made and exit")
	fs.BoolVar(&o.Version, "version", o.Version, "print the version and exit")
	logging := flag.NewFlagSet("logging", flag.ContinueOnError)
	o.Zap.BindFlags(logging)
	fs.AddGoFlagSet(logging)
}

// Validate names every option that can not be used.
func (o *Options) Validate() error {
	_, nodeErr := o.node()
	return errors.Join(
		nodeErr,
		o.Conntrack.Validate(),
		validateAddress("healthz-bind-address", o.HealthzBindAddress),
		validateAddress("metrics-bind-address", o.MetricsBindAddress),
		validateName(o.HostnameOverride),
	)
}

func validateAddress(name, address string) error {
	if address == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("--%s=%s is not an address: give IP:PORT, as in 127.0.0.1:10249", name, address)
	}
	return nil
}

func validateName(override string) error {
	if override != "" && strings.TrimSpace(override) == "" {
		return errors.New("--hostname-override is blank: give the name of the Node object or leave it out")
	}
	return nil
}

// node is the part of the options that shapes the ruleset.
func (o *Options) node() (agent.NodeOptions, error) {
	nodePorts, err := agent.ParseNodePortAddresses(o.NodePortAddresses)
	if err != nil {
		return agent.NodeOptions{}, fmt.Errorf("--nodeport-addresses: %w", err)
	}
	local, err := o.detectLocal()
	return agent.NodeOptions{NodePorts: nodePorts, DetectLocal: local, MasqueradeAll: o.MasqueradeAll}, err
}

func (o *Options) detectLocal() (agent.DetectLocal, error) {
	switch o.DetectLocalMode {
	case modeNodeCIDR:
		return agent.DetectLocal{FromNode: true}, nil
	case modeClusterCIDR, "":
		cidrs, err := parseClusterCIDR(o.ClusterCIDR)
		return agent.DetectLocal{ClusterCIDRs: cidrs}, err
	case modeBridgeInterface, modeInterfaceNamePrefix:
		return agent.DetectLocal{}, fmt.Errorf("--detect-local-mode=%s is not supported yet: use ClusterCIDR or NodeCIDR", o.DetectLocalMode)
	}
	return agent.DetectLocal{}, fmt.Errorf("--detect-local-mode=%s does not exist: use ClusterCIDR or NodeCIDR", o.DetectLocalMode)
}

func parseClusterCIDR(text string) ([]netip.Prefix, error) {
	if text == "" {
		return nil, nil
	}
	var cidrs []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		cidr, err := netip.ParsePrefix(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("--cluster-cidr: %q is not a CIDR: give one of each IP family, as in 10.244.0.0/16,fd00:10:244::/56", part)
		}
		cidrs = append(cidrs, model.PlainPrefix(cidr))
	}
	return cidrs, nil
}

// nodeName is the name of the Node object, as kubelet derives it.
func (o *Options) nodeName() (string, error) {
	name := o.HostnameOverride
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return "", fmt.Errorf("the host has no name (%w): give --hostname-override", err)
		}
		name = host
	}
	return strings.ToLower(strings.TrimSpace(name)), nil
}

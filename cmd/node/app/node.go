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
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// node is the part of the options that says what of the node shapes the
// ruleset. It may change while the program runs.
func (o *Options) node() (agent.NodeOptions, error) {
	nodePorts, portsErr := agent.ParseNodePortAddresses(o.Proxy.NodePortAddresses)
	if portsErr != nil {
		portsErr = fmt.Errorf("--nodeport-addresses: %w", portsErr)
	}
	local, localErr := o.detectLocal()
	primary, primaryErr := o.primary()
	return agent.NodeOptions{
		NodePorts: nodePorts, Primary: primary, DetectLocal: local, MasqueradeAll: o.MasqueradeAll,
		RejectWithoutLocal: o.Own.RejectWithoutLocal, RestrictNodePorts: o.Own.RestrictNodePorts,
	}, errors.Join(portsErr, localErr, primaryErr)
}

// primary is the address that --bind-address puts in place of the Node's.
func (o *Options) primary() (netip.Addr, error) {
	addr, err := netip.ParseAddr(o.Proxy.BindAddress)
	if err != nil {
		return addr, fmt.Errorf("--bind-address=%s is not an IP address: give the node's primary one or leave it out", o.Proxy.BindAddress)
	}
	if addr.IsUnspecified() {
		return netip.Addr{}, nil
	}
	return addr.Unmap(), nil
}

func (o *Options) detectLocal() (agent.DetectLocal, error) {
	p := &o.Proxy
	switch p.DetectLocalMode {
	case modeNodeCIDR:
		return agent.DetectLocal{FromNode: true}, nil
	case modeClusterCIDR:
		cidrs, err := parseClusterCIDR(p.ClusterCIDR)
		return agent.DetectLocal{ClusterCIDRs: cidrs}, err
	case modeBridgeInterface:
		return agent.DetectLocal{}, validateInterface("pod-bridge-interface", p.DetectLocal.BridgeInterface)
	case modeInterfaceNamePrefix:
		return agent.DetectLocal{}, validateInterface("pod-interface-name-prefix", p.DetectLocal.InterfaceNamePrefix)
	}
	return agent.DetectLocal{}, fmt.Errorf("--detect-local-mode=%s does not exist: use %s, %s, %s or %s",
		p.DetectLocalMode, modeClusterCIDR, modeNodeCIDR, modeBridgeInterface, modeInterfaceNamePrefix)
}

// longestInterface is the kernel's limit of an interface's name.
const longestInterface = 15

func validateInterface(flag, name string) error {
	if name == "" || len(name) > longestInterface || strings.ContainsAny(name, "*\"/ \t\n") {
		return fmt.Errorf("--%s=%q can not begin the name of an interface: give 1 to %d characters of one", flag, name, longestInterface)
	}
	return nil
}

// features is the part of the options that shapes the table itself.
func (o *Options) features() policy.Features {
	f := policy.Features{
		AnswerEcho: o.Own.AnswerEcho, CountConnections: o.Own.CountConnections,
		RefusePooled:       len(o.Own.Announce) > 0, // each of them draws the addresses here
		LocalhostNodePorts: o.Own.LocalhostNodePorts || o.Proxy.FeatureGates[gateLocalhostNodePorts] && o.namesLoopback(),
	}
	switch o.Proxy.DetectLocalMode {
	case modeBridgeInterface:
		f.LocalInterface = o.Proxy.DetectLocal.BridgeInterface
	case modeInterfaceNamePrefix:
		f.LocalInterface = o.Proxy.DetectLocal.InterfaceNamePrefix + "*"
	}
	return f
}

// namesLoopback says whether NodePorts are asked for on loopback addresses in
// so many words, as kube-proxy wants it beside its feature gate.
func (o *Options) namesLoopback() bool {
	ports, err := agent.ParseNodePortAddresses(o.Proxy.NodePortAddresses)
	return err == nil && slices.ContainsFunc(ports.CIDRs, func(p netip.Prefix) bool { return p.Addr().IsLoopback() })
}

// withoutExternalIPs is true when the cluster has turned spec.externalIPs off
// (KEP-5707).
func (o *Options) withoutExternalIPs() bool {
	allowed, set := o.Proxy.FeatureGates[gateExternalIPs]
	return set && !allowed
}

// store is which Services are proxied.
func (o *Options) store() model.Options { return model.Options{ProxyName: o.Own.ServiceProxyName} }

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

package main

import (
	"os/exec"
	"strings"
)

const (
	switchyardName = "switchyard"
	kubeProxyName  = "kube-proxy"
	// webhooksName is the first of the parts.
	webhooksName = "webhooks"
	// pprofAddress is where both serve their profiles, in their own namespace.
	pprofAddress = "127.0.0.1:10249"
)

// parts are what -only calls the parts of the run that are not about proxies.
var parts = []string{webhooksName, endpointsName, dnsName}

// subject is a proxy to measure. Both run with their defaults but for what the
// place needs: its name, its clients, and that it can not set the machine's
// connection limit from a namespace.
type subject struct {
	name    string
	program string
	args    []string
	// switches is how many times a Service is switched to measure its latency.
	switches int
}

func subjects(o options) (ours, theirs subject) {
	common := []string{
		"--hostname-override=" + nodeName, "--cluster-cidr=" + clusterCIDR.String(), "--conntrack-max-per-core=0",
		"--metrics-bind-address=" + pprofAddress,
	}
	if o.profile != "" {
		common = append(common, "--profiling")
	}
	ours = subject{name: switchyardName, program: o.node, args: common, switches: o.switches}
	theirs = subject{name: kubeProxyName, program: o.peer, args: append([]string{"--proxy-mode=nftables"}, common...), switches: o.peerSwitches}
	return ours, theirs
}

func (s subject) command(kubeconfig string) *exec.Cmd {
	return exec.Command(s.program, append([]string{"--kubeconfig=" + kubeconfig}, s.args...)...)
}

// version is what the program says of itself.
func (s subject) version() string { return versionOf(s.program) }

func versionOf(program string) string {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "unknown: " + err.Error()
	}
	words := strings.Fields(string(out))
	return words[len(words)-1]
}

// firstWordOf is what CoreDNS says of itself: its name and version, then more.
func firstWordOf(program, flag string) string {
	out, err := exec.Command(program, flag).Output()
	if err != nil {
		return "unknown: " + err.Error()
	}
	return strings.Fields(string(out))[0]
}

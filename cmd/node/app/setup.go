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
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"
	"k8s.io/utils/cpuset"
)

// kernelSetting is a number in a file of the kernel's.
type kernelSetting struct {
	// path is below /, as in proc/sys/net/netfilter/nf_conntrack_max.
	path  string
	value int
	// raise leaves a greater value as it is: what belongs to the whole machine
	// may have been sized for others.
	raise bool
}

// mostTracked bounds the connections to track as kube-proxy does: more costs
// memory on machines with many cores and helps nobody.
const mostTracked = 1 << 20

const (
	conntrackSysctls = "proc/sys/net/netfilter/nf_conntrack_"
	conntrackHashes  = "sys/module/nf_conntrack/parameters/hashsize"
	routeLocalnet    = "proc/sys/net/ipv4/conf/all/route_localnet"
)

// kernelSettings are what the options ask for on a machine with so many CPUs.
func (o *Options) kernelSettings(cpus int) []kernelSetting {
	list := conntrackSettings(o.Proxy.Conntrack, cpus)
	if o.features().LocalhostNodePorts {
		// What goes to 127.0.0.1 and is sent on to a pod would be dropped.
		list = append(list, kernelSetting{path: routeLocalnet, value: 1})
	}
	return list
}

func conntrackSettings(c proxyconfig.KubeProxyConntrackConfiguration, cpus int) []kernelSetting {
	var list []kernelSetting
	if most := connections(c, cpus); most > 0 {
		// The hash table keeps its size when the limit is raised.
		list = append(list, kernelSetting{conntrackSysctls + "max", most, true}, kernelSetting{conntrackHashes, most / 4, true})
	}
	add := func(name string, value int) {
		if value > 0 {
			list = append(list, kernelSetting{path: conntrackSysctls + name, value: value})
		}
	}
	add("tcp_timeout_established", seconds(c.TCPEstablishedTimeout.Duration))
	add("tcp_timeout_close_wait", seconds(c.TCPCloseWaitTimeout.Duration))
	add("udp_timeout", seconds(c.UDPTimeout.Duration))
	add("udp_timeout_stream", seconds(c.UDPStreamTimeout.Duration))
	if c.TCPBeLiberal {
		add("tcp_be_liberal", 1)
	}
	return list
}

// connections is how many to track, 0 for as many as the kernel does.
func connections(c proxyconfig.KubeProxyConntrackConfiguration, cpus int) int {
	if *c.MaxPerCore == 0 {
		return 0
	}
	scaled := int(*c.MaxPerCore) * cpus
	if scaled > mostTracked {
		return mostTracked
	}
	return max(scaled, int(*c.Min))
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// apply brings the settings below root to their values and names each that
// stays as it is. All are tried.
func apply(settings []kernelSetting, root string) error {
	var errs []error
	for _, s := range settings {
		if err := s.set(root); err != nil {
			errs = append(errs, fmt.Errorf("setting %s to %d: %w", s.name(), s.value, err))
		}
	}
	return errors.Join(errs...)
}

func (s kernelSetting) set(root string) error {
	path := filepath.Join(root, s.path)
	current, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	value, err := strconv.Atoi(strings.TrimSpace(string(current)))
	if err == nil && (value == s.value || s.raise && value > s.value) {
		return nil
	}
	return os.WriteFile(path, []byte(strconv.Itoa(s.value)), 0o644)
}

// name is what sysctl(8) calls the setting.
func (s kernelSetting) name() string {
	if rest, ok := strings.CutPrefix(s.path, "proc/sys/"); ok {
		return strings.ReplaceAll(rest, "/", ".")
	}
	return "/" + s.path
}

// setUp does what it can of the privileged part. The proxy works without it, so
// that a read-only /proc/sys, as in an unprivileged container, is only worth a
// line for each setting.
func (o *Options) setUp(log logr.Logger, root string) {
	for _, s := range o.kernelSettings(nodeCPUs()) {
		if err := s.set(root); err != nil {
			log.Info("Left a kernel setting as it is; set it on the node or run --init-only as root first if you need it",
				"setting", s.name(), "wanted", s.value, "reason", err.Error())
		}
	}
	if err := os.WriteFile(filepath.Join(root, "proc/self/oom_score_adj"), []byte(strconv.Itoa(int(*o.Proxy.OOMScoreAdj))), 0); err != nil {
		level := 0
		if *o.Proxy.OOMScoreAdj == oomScore {
			level = 2 // nobody asked for it
		}
		log.V(level).Info("Left the OOM score as it is, lowering it takes CAP_SYS_RESOURCE", "wanted", *o.Proxy.OOMScoreAdj, "reason", err.Error())
	}
}

// nodeCPUs counts the machine's CPUs: the limits are the machine's, and this
// process may be kept to a few of its CPUs.
func nodeCPUs() int {
	if n, err := cpuset.NumCPU(); err == nil && n > 0 {
		return n
	}
	return runtime.NumCPU()
}

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
	"github.com/spf13/pflag"
)

// ConntrackOptions are kernel settings that a node with many connections
// needs. Zero leaves the kernel's own value.
type ConntrackOptions struct {
	MaxPerCore, Min       int
	TCPTimeoutEstablished time.Duration
	TCPTimeoutCloseWait   time.Duration
	TCPBeLiberal          bool
	UDPTimeout            time.Duration
	UDPTimeoutStream      time.Duration
}

// maxEntries bounds the table like kube-proxy does: more costs memory on
// machines with many cores and helps nobody.
const maxEntries = 1 << 20

// Defaults are kube-proxy's.
func (o *ConntrackOptions) Defaults() {
	o.MaxPerCore, o.Min = 32*1024, 128*1024
	o.TCPTimeoutEstablished, o.TCPTimeoutCloseWait = 24*time.Hour, time.Hour
}

// AddFlags offers the options as flags.
func (o *ConntrackOptions) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&o.MaxPerCore, "conntrack-max-per-core", o.MaxPerCore, "connections to track, for each CPU; 0 leaves the kernel's limit")
	fs.IntVar(&o.Min, "conntrack-min", o.Min, "connections to track at least, whatever --conntrack-max-per-core says")
	fs.DurationVar(&o.TCPTimeoutEstablished, "conntrack-tcp-timeout-established", o.TCPTimeoutEstablished,
		"how long to remember an idle TCP connection; 0 leaves the kernel's value")
	fs.DurationVar(&o.TCPTimeoutCloseWait, "conntrack-tcp-timeout-close-wait", o.TCPTimeoutCloseWait,
		"how long to remember a TCP connection in CLOSE_WAIT; 0 leaves the kernel's value")
	fs.BoolVar(&o.TCPBeLiberal, "conntrack-tcp-be-liberal", o.TCPBeLiberal, "let packets outside of the TCP window pass as part of their connection")
	fs.DurationVar(&o.UDPTimeout, "conntrack-udp-timeout", o.UDPTimeout, "how long to remember a UDP packet without reply; 0 leaves the kernel's value")
	fs.DurationVar(&o.UDPTimeoutStream, "conntrack-udp-timeout-stream", o.UDPTimeoutStream, "how long to remember a UDP flow; 0 leaves the kernel's value")
}

// Validate names every option that can not be used.
func (o *ConntrackOptions) Validate() error {
	var errs []error
	for _, value := range []struct {
		name     string
		negative bool
	}{
		{"max-per-core", o.MaxPerCore < 0},
		{"min", o.Min < 0},
		{"tcp-timeout-established", o.TCPTimeoutEstablished < 0},
		{"tcp-timeout-close-wait", o.TCPTimeoutCloseWait < 0},
		{"udp-timeout", o.UDPTimeout < 0},
		{"udp-timeout-stream", o.UDPTimeoutStream < 0},
	} {
		if value.negative {
			errs = append(errs, fmt.Errorf("--conntrack-%s is negative: give 0 to leave the kernel's value", value.name))
		}
	}
	return errors.Join(errs...)
}

// sysctl is a setting below /proc/sys/net/netfilter.
type sysctl struct {
	name  string
	value int
}

// sysctls are what the options ask for on a machine with so many CPUs.
func (o *ConntrackOptions) sysctls(cpus int) []sysctl {
	var list []sysctl
	add := func(name string, value int) {
		if value > 0 {
			list = append(list, sysctl{name, value})
		}
	}
	if o.MaxPerCore > 0 {
		add("nf_conntrack_max", min(max(o.MaxPerCore*cpus, o.Min), max(maxEntries, o.Min)))
	}
	add("nf_conntrack_tcp_timeout_established", seconds(o.TCPTimeoutEstablished))
	add("nf_conntrack_tcp_timeout_close_wait", seconds(o.TCPTimeoutCloseWait))
	add("nf_conntrack_udp_timeout", seconds(o.UDPTimeout))
	add("nf_conntrack_udp_timeout_stream", seconds(o.UDPTimeoutStream))
	if o.TCPBeLiberal {
		add("nf_conntrack_tcp_be_liberal", 1)
	}
	return list
}

func seconds(d time.Duration) int { return int(d / time.Second) }

// apply sets what the kernel lets us set. The proxy works without, so that a
// read-only /proc/sys, as in an unprivileged container, is only worth a line.
func (o *ConntrackOptions) apply(log logr.Logger) {
	for _, setting := range o.sysctls(runtime.NumCPU()) {
		if err := setting.set("/proc/sys/net/netfilter"); err != nil {
			log.Info("Left a kernel setting as it is; set it on the node if you need it",
				"sysctl", "net.netfilter."+setting.name, "wanted", setting.value, "reason", err.Error())
		}
	}
}

func (s sysctl) set(dir string) error {
	path := filepath.Join(dir, s.name)
	current, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	value, err := strconv.Atoi(strings.TrimSpace(string(current)))
	// The limit of connections belongs to the whole machine, not to this
	// network namespace: it is only ever raised.
	if err == nil && (value == s.value || s.name == "nf_conntrack_max" && value > s.value) {
		return nil
	}
	return os.WriteFile(path, []byte(strconv.Itoa(s.value)), 0o644)
}

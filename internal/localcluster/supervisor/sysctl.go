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

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sysctl is a kernel setting of the calling thread's network namespace. Some
// defaults are inherited from the machine, so what matters is set, not hoped.
type sysctl struct {
	name, value string
}

// outsideSysctls and nodeSysctls are set before there are devices: a new
// device copies "default".
var (
	outsideSysctls = append([]sysctl{
		{"net.ipv4.ip_forward", "0"},
		{"net.ipv6.conf.all.forwarding", "0"},
	}, commonSysctls...)

	nodeSysctls = append([]sysctl{
		{"net.ipv4.ip_forward", "1"},
		{"net.ipv6.conf.all.forwarding", "1"},
		{"net.ipv6.conf.default.forwarding", "1"},
		// Packets and bytes of connections, for `switchyard top`.
		{"net.netfilter.nf_conntrack_acct", "1"},
	}, commonSysctls...)

	commonSysctls = []sysctl{
		{"net.ipv6.conf.all.disable_ipv6", "0"},
		{"net.ipv6.conf.default.disable_ipv6", "0"},
		{"net.ipv6.conf.lo.disable_ipv6", "0"},
		// Addresses are numbered by us: no detection of duplicates, no router
		// advertisements.
		{"net.ipv6.conf.all.accept_dad", "0"},
		{"net.ipv6.conf.default.accept_dad", "0"},
		{"net.ipv6.conf.all.accept_ra", "0"},
		{"net.ipv6.conf.default.accept_ra", "0"},
		// A reply may take another way than the request did, as on a network
		// with several routers.
		{"net.ipv4.conf.all.rp_filter", "0"},
		{"net.ipv4.conf.default.rp_filter", "0"},
		// A node that forwards to a pod of its neighbour sends the packet back
		// out of the device it came from. A redirect would tell the client to
		// go around the translation.
		{"net.ipv4.conf.all.send_redirects", "0"},
		{"net.ipv4.conf.default.send_redirects", "0"},
		{"net.ipv4.conf.all.accept_redirects", "0"},
		{"net.ipv4.conf.default.accept_redirects", "0"},
		{"net.ipv6.conf.all.accept_redirects", "0"},
		{"net.ipv6.conf.default.accept_redirects", "0"},
	}
)

func setSysctls(settings []sysctl) error {
	for _, s := range settings {
		path := filepath.Join("/proc/sys", strings.ReplaceAll(s.name, ".", "/"))
		err := os.WriteFile(path, []byte(s.value), 0)
		if errors.Is(err, os.ErrNotExist) && strings.HasPrefix(s.name, "net.ipv6.") {
			return fmt.Errorf("setting %s: this kernel runs without IPv6, which the cluster needs: start the machine without ipv6.disable=1", s.name)
		}
		if err != nil {
			return fmt.Errorf("setting %s to %s: %w", s.name, s.value, err)
		}
	}
	return nil
}

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
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Validate names every option that can not be used.
func (o *Options) Validate() error {
	p := &o.Proxy
	_, nodeErr := o.node()
	return errors.Join(
		nodeErr,
		o.validateTask(),
		validateConntrack(p.Conntrack),
		validateAddress("healthz-bind-address", p.HealthzBindAddress),
		validateAddress("metrics-bind-address", p.MetricsBindAddress),
		validateChoice("logging-format", p.Logging.Format, "text", "json"),
		validateChoice("proxy-mode", string(p.Mode), "iptables", "ipvs", "nftables"),
		validateChoice("protect-table", o.Own.ProtectTable, protectAuto, protectOn, protectOff),
		o.Own.validateAnnounce(),
		o.Own.validateRoutes(),
		validateRange("oom-score-adj", *p.OOMScoreAdj, -1000, 1000),
		validateRange("iptables-masquerade-bit", *p.IPTables.MasqueradeBit, 0, 31),
		validateRange("nftables.masqueradeBit", *p.NFTables.MasqueradeBit, 0, 31),
		validateRange("kube-api-burst", p.ClientConnection.Burst, 0, 1<<31-1),
		validatePeriods(p),
	)
}

// validateTask wants one of what is done in place of running: which came first would
// be chance, and --cleanup removes our own rules.
func (o *Options) validateTask() error {
	var asked []string
	for _, task := range []struct {
		flag string
		set  bool
	}{{"--cleanup", o.Cleanup}, {"--cleanup-kube-proxy", o.Own.CleanupKubeProxy}, {"--init-only", o.InitOnly}} {
		if task.set {
			asked = append(asked, task.flag)
		}
	}
	if len(asked) > 1 {
		return fmt.Errorf("%s: give one of them, as each does something else and then exits: --cleanup removes the rules of switchyard-node, "+
			"--cleanup-kube-proxy those of kube-proxy, --init-only sets up the node", strings.Join(asked, " and "))
	}
	return nil
}

// validateAddress takes IP:PORT; the server's own socket would take names as
// well, but which address they mean could change.
func validateAddress(name, address string) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	number, portErr := strconv.Atoi(port)
	_, hostErr := netip.ParseAddr(host)
	if err != nil || portErr != nil || number < 1 || number > 65535 || host != "" && hostErr != nil {
		return fmt.Errorf("--%s=%s is not an address: give IP:PORT, as in 127.0.0.1:10249", name, address)
	}
	return nil
}

func validateChoice(name, value string, choices ...string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	return fmt.Errorf("--%s=%s does not exist: use %s", name, value, strings.Join(choices, " or "))
}

func validateRange(name string, value, least, most int32) error {
	if value < least || value > most {
		return fmt.Errorf("%s is out of range: give a number from %d to %d", written(name, value), least, most)
	}
	return nil
}

// written is a setting as it is given: by its flag, or by its key in the file
// where it has no flag.
func written(name string, value any) string {
	if strings.Contains(name, ".") {
		return fmt.Sprintf("%s: %v", name, value)
	}
	return fmt.Sprintf("--%s=%v", name, value)
}

// validatePeriods checks what has no effect here, too: a mistake in a file is
// one wherever it is read.
func validatePeriods(p *proxyconfig.KubeProxyConfiguration) error {
	var errs []error
	for _, period := range []struct {
		name    string
		value   time.Duration
		orZero  bool
		atLeast time.Duration
	}{
		{"config-sync-period", p.ConfigSyncPeriod.Duration, false, 0},
		{"iptables-sync-period", p.IPTables.SyncPeriod.Duration, false, p.IPTables.MinSyncPeriod.Duration},
		{"iptables-min-sync-period", p.IPTables.MinSyncPeriod.Duration, true, 0},
		{"nftables.syncPeriod", p.NFTables.SyncPeriod.Duration, false, p.NFTables.MinSyncPeriod.Duration},
		{"nftables.minSyncPeriod", p.NFTables.MinSyncPeriod.Duration, true, 0},
		{"ipvs-sync-period", p.IPVS.SyncPeriod.Duration, false, p.IPVS.MinSyncPeriod.Duration},
		{"ipvs-min-sync-period", p.IPVS.MinSyncPeriod.Duration, true, 0},
		{"ipvs-tcp-timeout", p.IPVS.TCPTimeout.Duration, true, 0},
		{"ipvs-tcpfin-timeout", p.IPVS.TCPFinTimeout.Duration, true, 0},
		{"ipvs-udp-timeout", p.IPVS.UDPTimeout.Duration, true, 0},
	} {
		switch {
		case period.value < 0, period.value == 0 && !period.orZero:
			errs = append(errs, fmt.Errorf("%s is too short: give a duration above zero, as in 30s", written(period.name, period.value)))
		case period.value < period.atLeast:
			errs = append(errs, fmt.Errorf("%s is shorter than the minimum period, %s: give at least that", written(period.name, period.value), period.atLeast))
		}
	}
	return errors.Join(errs...)
}

func validateConntrack(c proxyconfig.KubeProxyConntrackConfiguration) error {
	var errs []error
	for _, value := range []struct {
		name     string
		negative bool
	}{
		{"max-per-core", *c.MaxPerCore < 0},
		{"min", *c.Min < 0},
		{"tcp-timeout-established", c.TCPEstablishedTimeout.Duration < 0},
		{"tcp-timeout-close-wait", c.TCPCloseWaitTimeout.Duration < 0},
		{"udp-timeout", c.UDPTimeout.Duration < 0},
		{"udp-timeout-stream", c.UDPStreamTimeout.Duration < 0},
	} {
		if value.negative {
			errs = append(errs, fmt.Errorf("--conntrack-%s is negative: give 0 to leave the kernel's value", value.name))
		}
	}
	return errors.Join(errs...)
}

// parseClusterCIDR reads one CIDR, or one of each family.
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
	if len(cidrs) > 2 || len(cidrs) == 2 && model.FamilyOf(cidrs[0].Addr()) == model.FamilyOf(cidrs[1].Addr()) {
		return nil, fmt.Errorf("--cluster-cidr=%s: give at most one CIDR of each IP family, as in 10.244.0.0/16,fd00:10:244::/56", text)
	}
	return cidrs, nil
}

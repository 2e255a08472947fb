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

package leftovers

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// fakeHost stands for a kernel with IPVS.
type fakeHost struct {
	device, failing string
	on              []netip.Addr // the device
	names, legacy   []string
	uses            map[string]int // how often a set is in use until it is not
	waited          int
}

func (h *fakeHost) wait() { h.waited++ }

func (h *fakeHost) legacyTables() ([]string, error) { return h.legacy, nil }

func (h *fakeHost) addresses(name string) ([]netip.Addr, bool, error) {
	return h.on, h.device == name, nil
}

func (h *fakeHost) removeDevice(string) error {
	h.device = ""
	return nil
}

func (h *fakeHost) sets() ([]string, error) { return slices.Clone(h.names), nil }

func (h *fakeHost) removeSet(name string) error {
	if name == h.failing {
		return errors.New(name + " can not be removed")
	}
	if h.uses[name] > 0 {
		h.uses[name]--
		return fmt.Errorf("ipset %s: %w", name, nl.IPSetError(nl.IPSET_ERR_BUSY))
	}
	h.names = slices.DeleteFunc(h.names, func(other string) bool { return other == name })
	return nil
}

// removeAll removes what is found.
func (h *fakeHost) removeAll() ([]string, error) {
	found, err := findOnHost(h)
	if err != nil {
		return nil, err
	}
	return found.remove(h, h.wait)
}

// Where iptables is the legacy one, nothing of it is in nftables.
func TestWhatIsBesideNftablesGoesOnlyWhereOursServes(t *testing.T) {
	four, six := netip.MustParseAddr("10.96.0.1"), netip.MustParseAddr("fd00:10:96::1")
	served := func(families ...model.Family) map[model.Family]plan {
		plans := map[model.Family]plan{model.IPv4: {}, model.IPv6: {}}
		for _, f := range families {
			plans[f] = plan{serves: true}
		}
		return plans
	}
	for name, tc := range map[string]struct {
		host    fakeHost
		plans   map[model.Family]plan
		refused string
	}{
		"a device, and no agent":                         {fakeHost{device: ipvsDevice, on: []netip.Addr{four}}, served(), "IPv4: "},
		"an empty device, and no agent":                  {fakeHost{device: ipvsDevice}, served(), "no rules of ours"},
		"sets, and no agent":                             {fakeHost{names: []string{"KUBE-CLUSTER-IP"}}, served(model.IPv6), "IPv4: "},
		"sets of the family that is not served":          {fakeHost{names: []string{"KUBE-CLUSTER-IP", "KUBE-6-CLUSTER-IP"}}, served(model.IPv4), "IPv6: "},
		"a device with both families, and one is served": {fakeHost{device: ipvsDevice, on: []netip.Addr{four, six}}, served(model.IPv4), "IPv6: "},
		"a cluster of one family":                        {fakeHost{device: ipvsDevice, on: []netip.Addr{four}, names: []string{"KUBE-CLUSTER-IP"}}, served(model.IPv4), ""},
		"both are served":                                {fakeHost{device: ipvsDevice, on: []netip.Addr{four, six}}, served(model.IPv4, model.IPv6), ""},
		"nothing of kube-proxy's":                        {fakeHost{device: "eth0", names: []string{"mine"}}, served(), ""},
	} {
		found, err := findOnHost(&tc.host)
		if err != nil {
			t.Fatal(err)
		}
		switch err := found.refused(tc.plans); {
		case tc.refused == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tc.refused != "" && (!errors.Is(err, ErrNotServed) || !strings.Contains(err.Error(), tc.refused)):
			t.Errorf("%s: got %v, want %q", name, err, tc.refused)
		}
	}
}

func TestWhatTheIPVSModeMadeGoes(t *testing.T) {
	h := &fakeHost{
		device: "kube-ipvs0", failing: "KUBE-NODE-PORT-TCP",
		names:  []string{"KUBE-CLUSTER-IP", "mine", "KUBE-NODE-PORT-TCP", "KUBE-6-LOAD-BALANCER-SOURCE-CID", "KUBE-ROUTER-SET"},
		legacy: []string{"IPv4"},
	}
	done, err := h.removeAll()
	if err == nil || !strings.Contains(err.Error(), "KUBE-NODE-PORT-TCP can not be removed") {
		t.Errorf("a set that can not be removed: %v", err)
	}
	if diff := cmp.Diff([]string{"mine", "KUBE-NODE-PORT-TCP", "KUBE-ROUTER-SET"}, h.names); diff != "" {
		t.Errorf("sets that stay (-want +got):\n%s", diff)
	}
	if h.device != "" {
		t.Error("the device stays")
	}
	text := strings.Join(done, "\n")
	for _, want := range []string{"removed device kube-ipvs0", "until the node is started anew. Do so soon", "removed 2 ipsets", "IPv4: left what iptables-legacy made alone"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	other := &fakeHost{device: "eth0", names: []string{"mine"}}
	if done, err := other.removeAll(); err != nil || len(done) > 0 {
		t.Errorf("on another node: %q, %v", done, err)
	}
}

func TestSetsAreHeldUntilTheKernelHasFreedTheirRules(t *testing.T) {
	h := &fakeHost{
		names: []string{"KUBE-CLUSTER-IP", "KUBE-LOOP-BACK", "KUBE-EXTERNAL-IP", "KUBE-NODE-PORT-TCP"}, failing: "KUBE-EXTERNAL-IP",
		uses: map[string]int{"KUBE-CLUSTER-IP": 3, "KUBE-NODE-PORT-TCP": 1000},
	}
	done, err := h.removeAll()
	if diff := cmp.Diff([]string{"KUBE-EXTERNAL-IP", "KUBE-NODE-PORT-TCP"}, h.names); diff != "" {
		t.Errorf("sets that stay (-want +got):\n%s", diff)
	}
	for _, want := range []string{"KUBE-EXTERNAL-IP can not be removed", "ipset KUBE-NODE-PORT-TCP: "} {
		if err == nil || strings.Count(err.Error(), want) != 1 {
			t.Errorf("%q is not once in %v", want, err)
		}
	}
	if !slices.Equal(done, []string{"removed 2 ipsets"}) || h.waited != setRounds-1 {
		t.Errorf("%q after %d pauses", done, h.waited)
	}
}

func TestSetsOfChainsThatStayAreKept(t *testing.T) {
	h := &fakeHost{names: []string{"KUBE-CLUSTER-IP", "KUBE-LOOP-BACK"}, uses: map[string]int{"KUBE-LOOP-BACK": 1000}}
	found, err := findOnHost(h)
	if err != nil {
		t.Fatal(err)
	}
	found.kept = true
	done, err := found.remove(h, h.wait)
	want := []string{"removed 1 ipsets", "kept ipset KUBE-LOOP-BACK: chains that are kept use it"}
	if diff := cmp.Diff(want, done); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestOnlyKubeProxysNamesAreItsOwn(t *testing.T) {
	for name, want := range map[string]bool{
		"KUBE-SERVICES": true, "KUBE-SVC-TCOU7JCQXEZGVUNU": true, "KUBE-EXT-A": true, "KUBE-XLB-A": true, "KUBE-NODE-PORT": true,
		"KUBE-FIREWALL": false, "KUBE-IPTABLES-HINT": false, "KUBE-KUBELET-CANARY": false, "KUBE-MARK-DROP": false,
		"KUBE-NWPLCY-DEFAULT": false, "KUBE-POD-FW-A": false, "CNI-HOSTPORT-MASQ": false, "": false,
	} {
		if isProxyChain(name) != want {
			t.Errorf("%q: got %t", name, !want)
		}
	}
}

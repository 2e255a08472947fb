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
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// Whatever an agent is started with, who reads its page sees packets as it does.
func TestThePageTellsTheWholeView(t *testing.T) {
	for name, args := range map[string][]string{
		"defaults":      nil,
		"cluster CIDRs": {"--cluster-cidr=10.244.0.0/16,fd00:10:244::/48"},
		"node CIDR":     {"--detect-local-mode=NodeCIDR", "--nodeport-addresses=primary,192.0.2.0/24"},
		"a bridge":      {"--detect-local-mode=BridgeInterface", "--pod-bridge-interface=cbr0", "--masquerade-all"},
		"another mode":  {"--proxy-mode=iptables", "--masquerade-all", "--bind-address=192.0.2.7"},
		"our own options": {"--reject-without-local-endpoints", "--source-ranges-cover-nodeports", "--answer-echo",
			"--nodeports-on-localhost", "--service-proxy-name=other", "--count-connections", "--announce=l2"},
		"gates": {"--feature-gates=AllowServiceExternalIPs=false,KubeProxyNFTablesLocalhostNodePorts=true", "--nodeport-addresses=localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := resolve(args)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ReadView(pageOf(r), pflag.NewFlagSet("", pflag.ContinueOnError))
			if err != nil {
				t.Fatal(err)
			}
			node, err := r.options.node()
			if err != nil {
				t.Fatal(err)
			}
			want := View{node, r.options.features(), r.options.store(), r.options.withoutExternalIPs()}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("the view (-want +got):\n%s", diff)
			}
		})
	}
}

func TestANodeRefusesAtAddressesFromPoolsIfItAnnouncesThem(t *testing.T) {
	for args, want := range map[string]bool{"--announce=l2": true, "--announce=routes": true, "--announce=l2,routes": true, "--answer-echo": false} {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		AddViewFlags(fs)
		if err := fs.Parse([]string{args}); err != nil {
			t.Fatal(err)
		}
		got, err := ReadView(nil, fs)
		if err != nil || got.Features.RefusePooled != want {
			t.Errorf("%s: %t, %v; want %t", args, got.Features.RefusePooled, err, want)
		}
	}
}

func pageOf(r resolved) []byte {
	var p pages
	p.current.Store(&r)
	w := httptest.NewRecorder()
	p.config(w, nil)
	return w.Body.Bytes()
}

func TestFlagsWinOverThePage(t *testing.T) {
	r, err := resolve([]string{"--cluster-cidr=10.244.0.0/16", "--masquerade-all", "--reject-without-local-endpoints"})
	if err != nil {
		t.Fatal(err)
	}
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	AddViewFlags(fs)
	if err := fs.Parse([]string{"--cluster-cidr=10.0.0.0/8", "--reject-without-local-endpoints=false"}); err != nil {
		t.Fatal(err)
	}
	got, err := ReadView(pageOf(r), fs)
	if err != nil {
		t.Fatal(err)
	}
	if cidrs := got.Node.DetectLocal.ClusterCIDRs; len(cidrs) != 1 || cidrs[0] != netip.MustParsePrefix("10.0.0.0/8") ||
		!got.Node.MasqueradeAll || got.Node.RejectWithoutLocal {
		t.Errorf("the view is %+v", got)
	}
}

func TestAPageOfAnotherProgramIsToldApart(t *testing.T) {
	for _, page := range []string{`{"kubeproxy.config.k8s.io":{"mode":"iptables"}}`, `{}`} {
		if _, err := ReadView([]byte(page), pflag.NewFlagSet("", pflag.ContinueOnError)); !errors.Is(err, errForeignAgent) {
			t.Errorf("%s: %v", page, err)
		}
	}
}

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

package nft_test

import (
	"context"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"switchyard.dev/switchyard/internal/dataplane/conntrack"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

// track makes the kernel remember a UDP flow to a Service that was translated.
func track(t *testing.T, ns *netns.Namespace, family model.Family, vip netip.Addr, endpoint netip.AddrPort) {
	t.Helper()
	to := endpoint.String()
	runConntrack(t, ns, "-I", "-p", "udp", "-s", ip(family, 77, 1).String(), "-d", vip.String(), "--sport", "1000", "--dport", "53",
		"--timeout", "600", "--dst-nat", to)
}

func runConntrack(t *testing.T, ns *netns.Namespace, args ...string) string {
	t.Helper()
	cmd := exec.Command(prereq.Tool(t, "conntrack", "conntrack"), args...)
	var out []byte
	if err := ns.Do(func() (err error) { out, err = cmd.CombinedOutput(); return err }); err != nil {
		t.Fatalf("conntrack %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestFlowsOfAServiceThatWentWhileNoAgentRanAreDeleted(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			ns := newNamespace(t)
			gone, stays := decision(family, 2, 1), decision(family, 3, 1)
			gone.Name.Protocol, gone.Port = model.UDP, 53
			stays.Name.Protocol, stays.Port = model.UDP, 53
			before := open(t, ns, family, nft.Options{})
			fullSync(t, before, node(family), append(mixture(family)[:1], gone, stays))
			_ = before.Close()
			track(t, ns, family, gone.ClusterIP, gone.Cluster[0])
			track(t, ns, family, stays.ClusterIP, stays.Cluster[0])
			after := open(t, ns, family, nft.Options{})
			if result := fullSync(t, after, node(family), append(mixture(family)[:1], stays)); result.Untranslated != 1 {
				t.Errorf("%d entries deleted, want 1", result.Untranslated)
			}
			left := runConntrack(t, ns, "-L", "-f", strings.ToLower(family.String()))
			if strings.Contains(left, gone.ClusterIP.String()) || !strings.Contains(left, stays.ClusterIP.String()) {
				t.Errorf("left: %s", left)
			}
		})
	}
}

func TestASweeperDeletesWhatATableAsksFor(t *testing.T) {
	ns := newNamespace(t)
	var cleaner *conntrack.Cleaner
	if err := ns.Do(func() (err error) { cleaner, err = conntrack.NewCleaner(); return err }); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cleaner.Close() }()
	swept := make(chan conntrack.Swept, 100)
	sweeper := conntrack.NewSweeper(cleaner, func(s conntrack.Swept) { swept <- s })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); sweeper.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	for _, family := range families {
		ours := open(t, ns, family, nft.Options{Sweeper: sweeper})
		dns := decision(family, 2, 1)
		dns.Name.Protocol, dns.Port = model.UDP, 53
		runConntrack(t, ns, "-I", "-p", "udp", "-s", ip(family, 77, 1).String(), "-d", dns.ClusterIP.String(), "--sport", "1000", "--dport", "53", "--timeout", "600")
		if result := fullSync(t, ours, node(family), append(mixture(family)[:1], dns)); result.Untranslated != 0 {
			t.Errorf("the table itself deleted %d entries", result.Untranslated)
		}
		select {
		case got := <-swept:
			if got.Deleted != 1 || got.Err != nil {
				t.Errorf("%+v", got)
			}
		case <-time.After(10 * time.Second):
			t.Error("nothing was swept")
		}
	}
}

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

package packet

import (
	"context"
	"net/netip"
	"os/exec"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/test/prereq"
)

func TestARestartDoesNotTouchTraffic(t *testing.T) {
	eachFamily(t, func(w *world) {
		service := w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA)), w.serve(w.b, "b", w.podIP(podB)))
		w.program(service)
		w.underTraffic(func() {
			for range 10 {
				result, err := w.openTable().FullSync(context.Background(), w.config, []policy.Decision{service})
				result.Duration = 0
				if diff := cmp.Diff(nft.Result{}, result); err != nil || diff != "" {
					w.Errorf("adoption changed something: %v, %s", err, diff)
				}
			}
		})
	})
}

func TestATableOfAnotherShapeIsReplacedUnderTraffic(t *testing.T) {
	eachFamily(t, func(w *world) {
		tool := prereq.Tool(t, "nft", "nftables")
		keyword := map[model.Family]string{model.IPv4: "ip", model.IPv6: "ip6"}[w.family]
		service := w.service(model.TCP, w.serve(w.a, "a", w.podIP(podA)), w.serve(w.b, "b", w.podIP(podB)))
		w.program(service)
		w.underTraffic(func() {
			for range 10 {
				w.in(w.node, exec.Command(tool, "add", "set", keyword, "switchyard", "of-an-older-version", "{ type inet_proto; }").Run)
				result, err := w.openTable().FullSync(context.Background(), w.config, []policy.Decision{service})
				if err != nil || !result.Recreated {
					w.Errorf("replacement: %+v, %v", result, err)
				}
			}
		})
	})
}

// underTraffic runs fn while clients connect one after the other, and others
// use a connection made before. None may fail.
func (w *world) underTraffic(fn func()) {
	w.Helper()
	vip := netip.AddrPortFrom(w.clusterIP(), 80)
	old, err := dial(w.client, "tcp", vip)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = old.Close() }()
	done := make(chan struct{})
	var clients sync.WaitGroup
	loop := func(try func() error) {
		clients.Go(func() {
			for n := 0; ; n++ {
				if err := try(); err != nil {
					w.Errorf("exchange %d: %v", n, err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	loop(func() error { _, err := ask(w.client, "tcp", vip); return err })
	loop(func() error { _, err := exchange(old); return err })
	fn()
	close(done)
	clients.Wait()
}

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
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// inReload runs a reloader on a file with text, with time that passes only when
// all wait. used are the configurations that took effect.
func inReload(t *testing.T, text string, test func(change func(text string), used func() []*Options, ended func() error)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(header+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		args := []string{"--config=" + path, "--oom-score-adj=5"}
		first, err := resolve(args)
		if err != nil {
			t.Fatal(err)
		}
		var used []*Options
		r := reloader{args: args, current: first, use: func(next resolved) error { used = append(used, next.options); return nil }}
		result := make(chan error, 1)
		go func() { result <- r.run(ctx) }()
		synctest.Wait()
		change := func(text string) {
			write(text)
			time.Sleep(2 * configPeriod)
			synctest.Wait()
		}
		test(change, func() []*Options { return used }, func() error {
			select {
			case err := <-result:
				return err
			default:
				return nil
			}
		})
	})
}

func TestWhatCanChangeWhileRunningDoes(t *testing.T) {
	inReload(t, "clusterCIDR: 10.0.0.0/8\n", func(change func(string), used func() []*Options, ended func() error) {
		change("clusterCIDR: 10.0.0.0/8\n# the same\n")
		if n := len(used()); n != 0 {
			t.Errorf("a comment took effect %d times", n)
		}
		change("clusterCIDR: 10.1.0.0/16\noomScoreAdj: 7\niptables: {syncPeriod: 5m}\n")
		if n := len(used()); n != 1 {
			t.Fatalf("%d configurations took effect, want 1", n)
		}
		if o := used()[0]; o.Proxy.ClusterCIDR != "10.1.0.0/16" || *o.Proxy.OOMScoreAdj != 5 {
			t.Errorf("cluster CIDR %s, score %d; flags win over the file", o.Proxy.ClusterCIDR, *o.Proxy.OOMScoreAdj)
		}
		if err := ended(); err != nil {
			t.Errorf("it ended: %v", err)
		}
	})
}

func TestAFileThatCanNotBeUsedChangesNothing(t *testing.T) {
	inReload(t, "", func(change func(string), used func() []*Options, ended func() error) {
		change("clusterCIDRs: 10.0.0.0/8\n")
		change("clusterCIDR: nonsense\n")
		if n := len(used()); n != 0 || ended() != nil {
			t.Errorf("%d took effect, ended with %v", n, ended())
		}
		change("clusterCIDR: 10.0.0.0/8\n")
		if n := len(used()); n != 1 {
			t.Errorf("once it is correct, %d took effect", n)
		}
	})
}

func TestWhatCanNotChangeEndsTheProgramAndIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"hostnameOverride: n2\nclusterCIDR: 10.0.0.0/8\n":                          "(--hostname-override): ending",
		"clientConnection: {acceptContentTypes: application/json}\n":               "(clientConnection.acceptContentTypes): ending",
		"hostnameOverride: n2\nmetricsBindAddress: 0.0.0.0:10249\n":                "(--hostname-override, --metrics-bind-address): ending",
		"metricsBindAddress: 0.0.0.0:10249\n":                                      "(--metrics-bind-address): ending",
		"detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}\n": "(--pod-bridge-interface): ending",
	} {
		inReload(t, "", func(change func(string), used func() []*Options, ended func() error) {
			change(text)
			if err := ended(); err == nil || !strings.Contains(err.Error(), want) || len(used()) != 0 {
				t.Errorf("%q: ended with %v, want %q; %d took effect", text, err, want, len(used()))
			}
		})
	}
}

func TestANewBridgeIsANewTable(t *testing.T) {
	inReload(t, "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}\n", func(change func(string), used func() []*Options, ended func() error) {
		change("detectLocal: {bridgeInterface: cni0}\n") // ClusterCIDR again
		if err := ended(); err == nil || !strings.Contains(err.Error(), "(--detect-local-mode): ending") {
			t.Errorf("ended with %v", err)
		}
	})
}

// The file may be replaced while the program starts.
func TestAChangeFromBeforeTheFirstLookTakesEffect(t *testing.T) {
	path := writeConfig(t, header+"clusterCIDR: 10.0.0.0/8\n")
	args := []string{"--config=" + path}
	first, err := resolve(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(header+"clusterCIDR: 10.1.0.0/16\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*configPeriod)
		defer cancel()
		var used []string
		r := reloader{args: args, current: first, use: func(next resolved) error {
			used = append(used, next.options.Proxy.ClusterCIDR)
			return nil
		}}
		if err := r.run(ctx); err != nil || !slices.Equal(used, []string{"10.1.0.0/16"}) {
			t.Errorf("%v, took effect: %v", err, used)
		}
	})
}

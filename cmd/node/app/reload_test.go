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
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// inReload runs a reloader on a file with text, with time that passes only when
// all wait. used are the configurations that took effect.
func inReload(t *testing.T, text string, test func(change func(text string), used func() []*Options, ended func() error), logs ...io.Writer) {
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
		if len(logs) > 0 {
			ctx = ctrllog.IntoContext(ctx, zap.New(zap.WriteTo(logs[0])))
		}
		args := []string{"--config=" + path, "--oom-score-adj=5"}
		first, err := resolve(args)
		if err != nil {
			t.Fatal(err)
		}
		var used []*Options
		r := reloader{args: args, current: first, use: func(next resolved) error { used = append(used, next.options); return nil },
			try: func(ctx context.Context, next resolved) error { return next.options.couldStart(ctx, first.options) }}
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

// All agents follow a file at once: if they could not start with it, no node would have one.
func TestWhatTheProgramCouldNotStartWithDoesNotEndIt(t *testing.T) {
	var logged bytes.Buffer
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	inReload(t, "", func(change func(string), used func() []*Options, ended func() error) {
		for _, text := range []string{
			"clientConnection: {kubeconfig: " + kubeconfig + "}\nclusterCIDR: 10.0.0.0/8\n",
			"metricsBindAddress: 192.0.2.77:10249\n", // our own port, and no address of this machine
			"healthzBindAddress: 192.0.2.77:9000\nbindAddressHardFail: true\n",
		} {
			change(text)
			if err := ended(); err != nil || len(used()) != 0 {
				t.Errorf("%q: ended with %v, %d took effect", text, err, len(used()))
			}
		}
		change("clusterCIDR: 10.1.0.0/16\n")
		if n := len(used()); n != 1 || ended() != nil {
			t.Errorf("once it is correct, %d took effect, ended with %v", n, ended())
		}
	}, &logged)
	for _, want := range []string{"--kubeconfig=" + kubeconfig, "--metrics-bind-address=192.0.2.77:", "--healthz-bind-address=192.0.2.77:9000"} {
		if n := strings.Count(logged.String(), want); n != 1 {
			t.Errorf("%s is named %d times, want once:\n%s", want, n, &logged)
		}
	}
}

// A Secret with the kubeconfig may come later than the ConfigMap that names it.
func TestWhatTheProgramCouldNotStartWithIsTriedAgain(t *testing.T) {
	missing := errors.New("there is no kubeconfig")
	path := writeConfig(t, header)
	args := []string{"--config=" + path}
	first, err := resolve(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(header+"clientConnection: {acceptContentTypes: application/json}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		r := reloader{args: args, current: first, use: func(resolved) error { return nil }, try: func(context.Context, resolved) error {
			if tries++; tries < 3 {
				return missing
			}
			return nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*configPeriod)
		defer cancel()
		if err := r.run(ctx); err == nil || tries != 3 || !strings.Contains(err.Error(), "(clientConnection.acceptContentTypes): ending") {
			t.Errorf("after %d tries it ended with %v", tries, err)
		}
	})
}

// All agents of a cluster try the same file, and each trial may ask the API server.
func TestAFileThatStaysWrongIsTriedMoreAndMoreRarely(t *testing.T) {
	path := writeConfig(t, header)
	args := []string{"--config=" + path}
	first, err := resolve(args)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(header+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("hostnameOverride: n2\n")
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Time
		r := reloader{args: args, current: first, try: func(context.Context, resolved) error {
			tries = append(tries, time.Now())
			return errors.New("there is no kubeconfig")
		}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.run(ctx) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		// 2, 4, 8, 16, 32 s and then a minute, each half as long again at most.
		if n := len(tries); n < 40 || n > 66 {
			t.Errorf("%d trials in an hour", n)
		}
		if pause := tries[1].Sub(tries[0]); pause > 2*configPeriod {
			t.Errorf("the second trial is after %v", pause)
		}
		tries = nil
		write("hostnameOverride: n3\n")
		time.Sleep(configPeriod)
		synctest.Wait()
		if len(tries) != 1 {
			t.Errorf("after a change there were %d trials", len(tries))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestANewBridgeIsANewTable(t *testing.T) {
	inReload(t, "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}\n", func(change func(string), used func() []*Options, ended func() error) {
		change("detectLocal: {bridgeInterface: cni0}\n") // ClusterCIDR again
		if err := ended(); err == nil || !strings.Contains(err.Error(), "(--detect-local-mode): ending") {
			t.Errorf("ended with %v", err)
		}
	})
}

// A ConfigMap that its user makes may come later than the agent, and be made anew.
func TestAFileMayComeLaterWhereItIsOptional(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	args := []string{"--config=" + path}
	if _, err := resolve(args); err == nil || !strings.Contains(err.Error(), "give the path") {
		t.Fatalf("without --config-optional: %v", err)
	}
	args = append(args, "--config-optional")
	first, err := resolve(args)
	if err != nil {
		t.Fatal(err)
	}
	if o := first.options.Proxy; o.ClusterCIDR != "" || o.HealthzBindAddress == "" {
		t.Errorf("without a file: %+v", o)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var used []string
		r := reloader{args: args, current: first, use: func(next resolved) error {
			used = append(used, next.options.Proxy.ClusterCIDR)
			return nil
		}}
		ended := make(chan error, 1)
		go func() { ended <- r.run(ctx) }()
		for _, text := range []string{"", "clusterCIDR: 10.0.0.0/8\n", "", "clusterCIDR: 10.1.0.0/16\n"} {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if text != "" {
				if err := os.WriteFile(path, []byte(header+text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * configPeriod)
			synctest.Wait()
		}
		cancel()
		if err := <-ended; err != nil || !slices.Equal(used, []string{"10.0.0.0/8", "10.1.0.0/16"}) {
			t.Errorf("%v, took effect: %v", err, used)
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

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

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"switchyard.dev/switchyard/internal/status"
)

// statusNow is what status says; other tests may leave things to warn of.
func statusNow(t *testing.T, flags ...string) (report status.Report, code int) {
	t.Helper()
	out, problems, code := cli(t, append([]string{"status", "-o", "json", "--agent-timeout", "3s"}, flags...)...)
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, problems)
	}
	return report, code
}

// warns is an error unless there is such a warning of the object.
func warns(t *testing.T, kind status.Kind, object string, words ...string) error {
	t.Helper()
	report, code := statusNow(t)
	for _, w := range report.Warnings {
		if w.Kind != kind || !slices.Contains(w.Objects, object) {
			continue
		}
		for _, word := range words {
			if !strings.Contains(w.Message+" -> "+w.Remedy, word) {
				return fmt.Errorf("%s says %q -> %q, want %q in it", kind, w.Message, w.Remedy, word)
			}
		}
		if code != 1 {
			return fmt.Errorf("with a warning the exit code is %d", code)
		}
		return nil
	}
	return fmt.Errorf("no warning %s of %s in %+v", kind, object, report.Warnings)
}

func TestStatusNamesAnAgentThatHangsAndOneThatWasKilled(t *testing.T) {
	needCluster(t)
	await(t, func() error {
		report, _ := statusNow(t)
		for _, a := range report.Agents.List {
			if !a.Asked || !a.Ready || a.ServicePorts == 0 || a.Synced == nil || a.Version == "" {
				return fmt.Errorf("before, the agent of %s says %+v", a.Node, a)
			}
		}
		return nil
	})
	agent := programs(t)["switchyard-node@node-2"]
	if agent.PID == 0 {
		t.Fatal("the agent does not run")
	}
	if err := syscall.Kill(agent.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	hanging := warns(t, status.AgentSilent, "node-2", "no answer within 3s", "switchyard logs switchyard-node@node-2")
	if err := syscall.Kill(agent.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if hanging != nil {
		t.Error(hanging)
	}
	await(t, func() error {
		return warns(t, status.AgentRestarted, "node-2", "signal: killed", "switchyard logs switchyard-node@node-2")
	})
	report, _ := statusNow(t, "--nodes", "node-1")
	if len(report.Agents.List) != 1 || report.Agents.NotListed != 1 {
		t.Errorf("of node-1 alone it says %+v", report.Agents)
	}
	if out, problems, code := cli(t, "status", "--nodes", "node-9"); code != 2 || !strings.Contains(problems, `no node is called "node-9"`) {
		t.Errorf("exit code %d: %s%s", code, out, problems)
	}
}

func TestStatusWarnsOfAPoolThatFillsUp(t *testing.T) {
	needCluster(t)
	// In the static band (KEP-3668), which Services that ask for no port get last.
	pool := `{"apiVersion":"switchyard.dev/v1alpha1","kind":"PortPool","metadata":{"name":"narrow"},"spec":{"ranges":["30060-30063"],"autoAssign":false}}`
	create := kubectl(t.Context(), t, "create", "-f", "-")
	create.Stdin = strings.NewReader(pool)
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		remove := kubectl(context.Background(), t, "delete", "--ignore-not-found", "portpool/narrow", "service/narrow-1", "service/narrow-2")
		if out, err := remove.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	if err := warns(t, status.NearlyFull, "PortPool narrow"); err == nil {
		t.Error("a pool that nobody uses is nearly full")
	}
	for i := 1; i <= 2; i++ {
		output(t, "create", "service", "nodeport", fmt.Sprintf("narrow-%d", i), "--tcp=80", fmt.Sprintf("--node-port=%d", 30060+i))
	}
	if err := warns(t, status.NearlyFull, "PortPool narrow", "2 of 4 are free", "switchyard pools"); err != nil {
		t.Error(err)
	}
}

// Forwarding is how agents of other clusters are reached, which run as pods.
func TestAPageOfAPodIsGotThroughTheKubelet(t *testing.T) {
	needCluster(t)
	kubeconfig, err := cluster.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	pod := types.NamespacedName{Namespace: "kube-system"}
	pod.Name = output(t, "-n", "kube-system", "get", "pod", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[0].metadata.name}")
	tunnel, err := opened(t, config, pod)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // one tunnel, several connections
		page, err := status.Get(t.Context(), tunnel, 8181, "/ready")
		if err != nil || page.Code != http.StatusOK || page.Date.IsZero() {
			t.Errorf("/ready answers %d, %v", page.Code, err)
		}
	}
	if _, err := status.Get(t.Context(), tunnel, 7, "/"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("where nobody listens: %v", err)
	}
	nobody := rest.CopyConfig(config)
	nobody.Impersonate = rest.ImpersonationConfig{UserName: "jane"}
	if _, err := opened(t, nobody, pod); !errors.Is(err, status.ErrForbidden) || !strings.Contains(err.Error(), `"jane" cannot create`) {
		t.Errorf("without the right: %v", err)
	}
}

func opened(t *testing.T, config *rest.Config, pod types.NamespacedName) (status.Tunnel, error) {
	t.Helper()
	tunnels, err := status.Forwarding(config)
	if err != nil {
		t.Fatal(err)
	}
	tunnel, err := tunnels.Open(t.Context(), status.Instance{Pod: pod})
	if err == nil {
		t.Cleanup(func() { _ = tunnel.Close() })
	}
	return tunnel, err
}

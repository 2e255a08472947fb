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
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/dataplane/explain"
	"switchyard.dev/switchyard/internal/localcluster/state"
	"switchyard.dev/switchyard/internal/probe"
	"switchyard.dev/switchyard/internal/trace"
	"switchyard.dev/switchyard/test/prereq"
)

// cli runs the program as a user of the cluster would.
func cli(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), switchyard(), args...)
	cmd.Env = append(os.Environ(), "SWITCHYARD_STATE="+cluster.State())
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// traced is the answer for the first family, confirmed by a real connection.
func traced(t *testing.T, wantCode int, args ...string) trace.Answer {
	t.Helper()
	args = append([]string{"trace", "-n", "demo", "--live", "--timeout", "2s", "-o", "json"}, args...)
	out, problems, code := cli(t, args...)
	if code != wantCode {
		t.Fatalf("%v: exit code %d, want %d: %s%s", args, code, wantCode, problems, out)
	}
	var answers []trace.Answer
	if err := json.Unmarshal([]byte(out), &answers); err != nil || len(answers) == 0 {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	if a := answers[0]; a.Doubt != "" || a.Settings != "of the agent on "+a.Node {
		t.Errorf("%v: settings %q, doubt %q", args, a.Settings, a.Doubt)
	}
	return answers[0]
}

// frontNode is the node of the only pod of "front", and another one.
func frontNode(t *testing.T) (with, without string) {
	t.Helper()
	output(t, "wait", "--for=condition=Ready", "pod", "-l", "app=front", waitFor)
	with = output(t, "get", "pod", "-l", "app=front", "-o", "jsonpath={.items[0].spec.nodeName}")
	for _, name := range []string{"node-1", "node-2"} {
		if name != with {
			without = name
		}
	}
	return with, without
}

func TestTraceSaysWhatTheKernelDoes(t *testing.T) {
	needCluster(t)
	output(t, "wait", "--for=condition=Ready", "pod/pair", "pod/protocols", waitFor)
	with, without := frontNode(t)
	for name, tc := range map[string]struct {
		args    []string
		end     explain.End
		outcome probe.Outcome
		// masqueraded is what connection tracking has to say of a connection
		// that has an endpoint.
		masqueraded bool
		advice      string
	}{
		"from a pod to a ClusterIP":     {[]string{"--from", "pair", "--to", "front:17"}, explain.ToEndpoints, probe.Answered, false, ""},
		"from a node to a ClusterIP":    {[]string{"--from", without, "--to", "front:17"}, explain.ToEndpoints, probe.Answered, true, ""},
		"a pod to itself":               {[]string{"--from", "pair", "--to", "pair:left"}, explain.ToEndpoints, probe.Answered, true, ""},
		"UDP":                           {[]string{"--from", "pair", "--to", "protocols:70", "--proto", "udp"}, explain.ToEndpoints, probe.Answered, false, ""},
		"SCTP":                          {[]string{"--from", "pair", "--to", "protocols:sctp"}, explain.ToEndpoints, probe.Answered, false, ""},
		"from outside to a NodePort":    {[]string{"--from", "outside", "--to", without + ":31000"}, explain.ToEndpoints, probe.Answered, true, ""},
		"Local, with an endpoint":       {[]string{"--from", "outside", "--to", with + ":31500"}, explain.ToEndpoints, probe.Answered, false, ""},
		"Local, without one":            {[]string{"--from", "outside", "--to", without + ":31500"}, explain.Dropped, probe.TimedOut, false, "endpoints are on " + with},
		"Local, asked by the node":      {[]string{"--from", without, "--to", without + ":31500"}, explain.ToEndpoints, probe.Answered, true, ""},
		"a port that is not defined":    {[]string{"--from", "pair", "--to", "front:18"}, explain.Refused, probe.Refused, false, "add this one to its spec.ports"},
		"a Service without endpoints":   {[]string{"--from", without, "--to", "nobody:80"}, explain.Refused, probe.Refused, false, "No pod of namespace demo has the labels"},
		"an address that nobody has":    {[]string{"--from", "pair", "--to", "10.96.255.250:80"}, explain.Dropped, probe.TimedOut, false, "Ask for the Service by its name"},
		"UDP dropped, asked by a node":  {[]string{"--from", without, "--to", "10.96.255.250:80", "--proto", "udp"}, explain.Dropped, probe.TimedOut, false, ""},
		"UDP refused, asked by a node":  {[]string{"--from", without, "--to", "front:18", "--proto", "udp"}, explain.Refused, probe.Refused, false, ""},
		"SCTP dropped, asked by a node": {[]string{"--from", without, "--to", "10.96.255.250:80", "--proto", "sctp"}, explain.Dropped, probe.TimedOut, false, ""},
		"SCTP refused, asked by a node": {[]string{"--from", without, "--to", "front:18", "--proto", "sctp"}, explain.Refused, probe.Refused, false, ""},
		"another node, from a pod":      {[]string{"--from", "pair", "--to", "node-2:31000", "--node", "node-1"}, explain.PassedOn, probe.Answered, false, "--node node-2"},
		"what is none of the Services":  {[]string{"--from", "node-1", "--to", "node-2:10256"}, explain.PassedOn, probe.Answered, false, "--node node-2"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "another node, from a pod" && output(t, "get", "pod", "pair", "-o", "jsonpath={.spec.nodeName}") != "node-1" {
				tc.args[3], tc.args[5], tc.advice = "node-1:31000", "node-2", "--node node-1"
			}
			if tc.outcome != probe.TimedOut { // a busy machine takes longer to answer than it has to be silent
				tc.args = append(tc.args, "--timeout", "1m")
			}
			a := traced(t, 0, tc.args...)
			if a.Outcome.End != tc.end || a.Live.Connection.Outcome != tc.outcome || a.Live.Disagreement != "" {
				t.Errorf("explained %s, the connection was %s, disagreement %q:\n%s", a.Outcome, a.Live.Connection.Outcome, a.Live.Disagreement, a.Text())
			}
			if advice := strings.Join(a.Advice, "\n"); !strings.Contains(advice, tc.advice) {
				t.Errorf("advice %q, want %q", advice, tc.advice)
			}
			if tc.end != explain.ToEndpoints {
				return
			}
			isServer := func(target explain.Target) bool {
				return a.Live.Tracked != nil && target.Address == a.Live.Tracked.Server
			}
			if !slices.ContainsFunc(a.Outcome.Targets, isServer) || a.Live.Tracked.Masqueraded() != tc.masqueraded {
				t.Errorf("tracked as %+v, want one of %s, masqueraded %t", a.Live.Tracked, a.Outcome, tc.masqueraded)
			}
		})
	}
}

func TestTraceNamesTheForeignRuleThatDrops(t *testing.T) {
	needCluster(t)
	nft := prereq.Tool(t, "nft", "nftables")
	with, _ := frontNode(t)
	onNode := func(args ...string) {
		t.Helper()
		if out, problems, code := cli(t, append([]string{"exec", "--node", with, "--", nft}, args...)...); code != 0 {
			t.Fatalf("nft %v: %s%s", args, out, problems)
		}
	}
	pod := output(t, "get", "pod", "-l", "app=front", "-o", "jsonpath={.items[0].metadata.name}")
	onNode("add table inet firewall; add chain inet firewall guard { type filter hook forward priority 10; }; " +
		"add rule inet firewall guard tcp dport 7777 drop")
	defer onNode("delete table inet firewall")
	a := traced(t, 1, "--from", pod, "--to", "front:17")
	const want = "it was dropped by inet firewall, chain guard, rule "
	if !strings.HasPrefix(a.Live.Happened, want) || a.Live.Connection.Outcome != probe.TimedOut {
		t.Errorf("it says %q, want %s...; the connection was %s", a.Live.Happened, want, a.Live.Connection.Outcome)
	}
	text, problems, code := cli(t, "trace", "-n", "demo", "--live", "--timeout", "500ms", "--from", pod, "--to", "front:17")
	if code != 1 || !strings.Contains(text, "DISAGREES: ") || !strings.Contains(problems, want) {
		t.Errorf("exit code %d, %s%s", code, text, problems)
	}
}

func TestAQuestionThatCanNotBeAnsweredHasAnExitCodeOfItsOwn(t *testing.T) {
	needCluster(t)
	for want, args := range map[string][]string{
		"there is no Service nothing":                 {"trace", "--from", "node-1", "--to", "nothing:80"},
		"say with --node which one":                   {"trace", "--from", "outside", "--to", "front.demo:17"},
		"nobody in the local cluster has the address": {"trace", "--from", "192.0.2.9", "--to", "node-1:31000", "--live"},
		"unknown flag: --bogus: `switchyard trace":    {"trace", "--bogus"},
	} {
		if _, problems, code := cli(t, args...); code != 2 || !strings.Contains(problems, want) {
			t.Errorf("%v: exit code %d, %q, want %q", args, code, problems, want)
		}
	}
}

// On a node of a cluster that is not the local one, as far as the program can
// tell, it asks the agent there and needs to be told where the pod's network is.
func TestTraceOnANodeOfAnotherCluster(t *testing.T) {
	needCluster(t)
	output(t, "wait", "--for=condition=Ready", "pod/pair", waitFor)
	node := output(t, "get", "pod", "pair", "-o", "jsonpath={.spec.nodeName}")
	dir := state.Dir(cluster.State())
	record, err := dir.Record()
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text, err := os.ReadFile(dir.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	// As a node reaches the API server.
	text = regexp.MustCompile(`server: .*`).ReplaceAll(text, []byte("server: https://172.30.0.11:6443"))
	if err := os.WriteFile(kubeconfig, text, 0o600); err != nil {
		t.Fatal(err)
	}
	there := func(args ...string) (string, string, int) {
		return cli(t, append([]string{"exec", "--node", node, "--", "env", "SWITCHYARD_STATE=" + t.TempDir(),
			switchyard(), "trace", "--kubeconfig", kubeconfig, "-n", "demo", "--live"}, args...)...)
	}
	out, problems, code := there("--from", "pair", "--to", "front:17", "--netns", dir.NamespacePath(record.PID, "demo_pair"))
	if code != 0 || !strings.Contains(out, "settings     of the agent on "+node) || !strings.Contains(out, "AGREES: it was sent to ") {
		t.Errorf("exit code %d: %s%s", code, out, problems)
	}
	if out, problems, code := there("--from", node, "--to", "front:17"); code != 0 || !strings.Contains(out, "AGREES: it was sent to ") {
		t.Errorf("from the node: exit code %d: %s%s", code, out, problems)
	}
	if _, problems, code := there("--from", "pair", "--to", "front:17"); code != 2 || !strings.Contains(problems, "say with --netns") {
		t.Errorf("without the pod's network: exit code %d: %s", code, problems)
	}
	_, other := frontNode(t)
	if other == node {
		other, _ = frontNode(t)
	}
	if _, problems, code := there("--from", other, "--to", "front:17"); code != 2 || !strings.Contains(problems, "this machine is not "+other) {
		t.Errorf("about another node: exit code %d: %s", code, problems)
	}
}

func TestAnAgentThatDoesNotAnswerIsSaid(t *testing.T) {
	needCluster(t)
	output(t, "wait", "--for=condition=Ready", "pod/pair", waitFor)
	out, problems, code := cli(t, "trace", "-n", "demo", "--from", "pair", "--to", "front:17", "--agent-url", "http://127.0.0.1:1")
	for _, want := range []string{"settings     the agent's defaults\n", "it could not be asked (", "told of no pod ranges (--cluster-cidr)"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, nothing says %q in\n%s%s", code, want, out, problems)
		}
	}
}

func TestFlagsStandInForTheAgent(t *testing.T) {
	needCluster(t)
	output(t, "wait", "--for=condition=Ready", "pod/pair", waitFor)
	out, problems, code := cli(t, "trace", "-n", "demo", "--from", "pair", "--to", "front:17", "--detect-local-mode=ClusterCIDR", "--cluster-cidr=192.0.2.0/24")
	for _, want := range []string{"--cluster-cidr=192.0.2.0/24", "with the node's address in place of the client's"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, nothing says %q in\n%s%s", code, want, out, problems)
		}
	}
}

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
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"switchyard.dev/switchyard/test/testenv"
)

// kubectl is the stock program against the cluster, as a user on the machine
// would run it.
func kubectl(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	kubeconfig, err := cluster.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	assets, err := testenv.Assets()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"--kubeconfig", kubeconfig, "-n", "demo"}, args...)
	return exec.CommandContext(ctx, filepath.Join(assets, "kubectl"), args...)
}

func output(t *testing.T, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := kubectl(t.Context(), t, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

func TestKubectlExecRunsInThePod(t *testing.T) {
	needCluster(t)
	output(t, "wait", "--for=condition=Ready", "pod/pair", waitFor)
	ip := output(t, "get", "pod", "pair", "-o", "jsonpath={.status.podIP}")
	if got := output(t, "exec", "pair", "-c", "left", "--", "ip", "-o", "addr", "show"); !strings.Contains(got, ip+"/") {
		t.Errorf("the program did not see the pod's address %s:\n%s", ip, got)
	}
	cmd := kubectl(t.Context(), t, "exec", "-i", "pair", "-c", "left", "--", "cat")
	cmd.Stdin = strings.NewReader("through the kubelet")
	if got, err := cmd.Output(); err != nil || string(got) != "through the kubelet" {
		t.Errorf("stdin came back as %q, %v", got, err)
	}
	err := kubectl(t.Context(), t, "exec", "pair", "-c", "left", "--", "sh", "-c", "exit 7").Run()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 7 {
		t.Errorf("exit code 7 came back as %v", err)
	}
}

func TestKubectlLogsShowsRequests(t *testing.T) {
	needCluster(t)
	output(t, "wait", "--for=condition=Ready", "pod/pair", waitFor)
	ip := output(t, "get", "pod", "pair", "-o", "jsonpath={.status.podIP}")
	cmd, err := bed.Command(t.Context(), demoPod("pair"), switchyard(), "probe", "--protocol", "http", ip+":1234")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	await(t, func() error {
		if log := output(t, "logs", "pair", "-c", "left"); !strings.Contains(log, ip) {
			return fmt.Errorf("the log does not name the client %s:\n%s", ip, log)
		}
		return nil
	})
}

func TestKubectlPortForwardReachesPodAndService(t *testing.T) {
	needCluster(t)
	output(t, "wait", "--for=condition=Ready", "pod/pair", waitFor)
	for _, target := range []string{"pod/pair", "service/pair"} {
		t.Run(target, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			cmd := kubectl(ctx, t, "port-forward", target, ":4321")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { cancel(); _ = cmd.Wait() }()
			address := forwarded(t, stdout)
			resp, err := http.Get("http://" + address + "/hostname")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			if body, _ := io.ReadAll(resp.Body); strings.TrimSpace(string(body)) != "pair" {
				t.Errorf("answered by %q", body)
			}
		})
	}
}

var forwarding = regexp.MustCompile(`Forwarding from 127\.0\.0\.1:(\d+)`)

// forwarded reads where kubectl listens from what it prints first.
func forwarded(t *testing.T, stdout io.Reader) string {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := stdout.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	match := forwarding.FindSubmatch(buf[:n])
	if match == nil {
		t.Fatalf("kubectl printed %q", buf[:n])
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return net.JoinHostPort("127.0.0.1", string(match[1]))
}

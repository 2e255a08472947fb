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

package runner_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"switchyard.dev/switchyard/test/testenv"
)

// kubectls are the ways in which users' kubectl reaches a kubelet.
func kubectls(t *testing.T) map[string][]string {
	t.Helper()
	assets, err := testenv.Assets()
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(assets, "kubectl")
	ways := map[string][]string{
		"websockets": {own},
		"SPDY":       {"env", "KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false", "KUBECTL_PORT_FORWARD_WEBSOCKETS=false", own},
	}
	if path, err := exec.LookPath("kubectl"); err == nil && path != own {
		ways["the machine's own"] = []string{path}
	}
	return ways
}

func kubectl(ctx context.Context, way []string, args ...string) *exec.Cmd {
	args = append(append(append([]string(nil), way[1:]...), "--kubeconfig", shared.kubeconfig), args...)
	return exec.CommandContext(ctx, way[0], args...)
}

func TestKubectlExec(t *testing.T) {
	n := newNode(t)
	pod := n.untilReady(n.pod("web", nil))
	for name, way := range kubectls(t) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := kubectl(ctx, way, "exec", "-i", pod.Name, "--", "sh", "-c", "cat; hostname; cat /etc/hosts; ls /sys/class/net >/dev/null; echo oops >&2; exit 7")
			cmd.Stdin = strings.NewReader("typed\n")
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 7 {
				t.Errorf("ended with %v, want exit code 7; %s", err, stderr.String())
			}
			for _, want := range []string{"typed\n", pod.Name + "\n", pod.Status.PodIP + "\t" + pod.Name} {
				if !strings.Contains(string(out), want) {
					t.Errorf("output %q lacks %q", out, want)
				}
			}
			if !strings.Contains(stderr.String(), "oops\n") {
				t.Errorf("stderr is %q", stderr.String())
			}
			missing, err := kubectl(ctx, way, "exec", pod.Name, "--", "no-such-program").CombinedOutput()
			if err == nil || !strings.Contains(string(missing), "127") || !strings.Contains(string(missing), `exec: "no-such-program"`) {
				t.Errorf("a program that is not there: %v, %s", err, missing)
			}
		})
	}
}

func TestKubectlExecOnATerminal(t *testing.T) {
	n := newNode(t)
	pod := n.untilReady(n.pod("web", nil))
	for name, way := range kubectls(t) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			// script gives kubectl the terminal that -t asks for.
			inner := strings.Join(kubectl(ctx, way, "exec", "-it", pod.Name, "--", "sh", "-c", "'tty; stty size; read x; echo got $x'").Args, " ")
			cmd := exec.CommandContext(ctx, "script", "-qec", "stty rows 33 cols 44; "+inner, "/dev/null")
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			scanner := bufio.NewScanner(out)
			for scanner.Scan() {
				all.WriteString(scanner.Text() + "\n")
				if strings.Contains(scanner.Text(), "/dev/pts/") {
					_, _ = io.WriteString(stdin, "hello\n")
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("%v: %s", err, all.String())
			}
			if !strings.Contains(all.String(), "got hello") {
				t.Errorf("the terminal showed %q", all.String())
			}
		})
	}
}

func TestKubectlLogs(t *testing.T) {
	n := newNode(t)
	pod := n.untilReady(n.pod("web", nil))
	url := "http://" + pod.Status.PodIP
	for _, path := range []string{"/first", "/second"} {
		if _, _, err := get(n.config.Namespace, url+path); err != nil {
			t.Fatal(err)
		}
	}
	for name, way := range kubectls(t) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			out, err := kubectl(ctx, way, "logs", pod.Name).CombinedOutput()
			if err != nil || !strings.Contains(string(out), `"GET /first" 200`) || !strings.Contains(string(out), `"GET /second" 200`) {
				t.Errorf("%v: %s", err, out)
			}
			out, err = kubectl(ctx, way, "logs", "--tail=1", "--timestamps", pod.Name).CombinedOutput()
			if lines := strings.Count(string(out), "\n"); err != nil || lines != 1 || !strings.HasPrefix(string(out), "20") {
				t.Errorf("last line with its time: %v: %q", err, out)
			}
			out, err = kubectl(ctx, way, "logs", "--previous", pod.Name).CombinedOutput()
			if err == nil || !strings.Contains(string(out), "previous terminated container") {
				t.Errorf("a log that there is not: %v: %s", err, out)
			}
			follow := kubectl(ctx, way, "logs", "-f", "--tail=0", pod.Name)
			pipe, err := follow.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := follow.Start(); err != nil {
				t.Fatal(err)
			}
			line := make(chan string, 1)
			go func() {
				text, _ := bufio.NewReader(pipe).ReadString('\n')
				line <- text
			}()
			ticker := time.NewTicker(100 * time.Millisecond) // the follower may not have begun
			defer ticker.Stop()
			for done := false; !done; {
				if _, _, err := get(n.config.Namespace, url+"/followed"); err != nil {
					t.Fatal(err)
				}
				select {
				case text := <-line:
					done = true
					if !strings.Contains(text, "/followed") {
						t.Errorf("followed %q", text)
					}
				case <-ticker.C:
				}
			}
			cancel()
			_ = follow.Wait()
		})
	}
}

func TestKubectlPortForward(t *testing.T) {
	n := newNode(t)
	pod := n.untilReady(n.pod("forwarded", nil))
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "forwarded", Namespace: "default"}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "forwarded"},
		Ports:    []corev1.ServicePort{{Name: "web", Port: 8000, TargetPort: intstr.FromString("web")}},
	}}
	if _, err := n.client.CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, way := range kubectls(t) {
		for _, to := range [][]string{{"pod/" + pod.Name, ":80"}, {"service/forwarded", ":8000"}} {
			t.Run(name+" to "+to[0], func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				cmd := kubectl(ctx, way, append([]string{"port-forward", "--address=127.0.0.1"}, to...)...)
				cmd.Stderr = os.Stderr
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				first, err := bufio.NewReader(out).ReadString('\n')
				if err != nil {
					t.Fatalf("%v: %q", err, first)
				}
				var port, target int
				if _, err := fmt.Sscanf(first, "Forwarding from 127.0.0.1:%d -> %d", &port, &target); err != nil {
					t.Fatalf("%v: %q", err, first)
				}
				for range 3 { // one forward carries several connections
					response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(fmt.Sprintf("http://127.0.0.1:%d/hostname", port))
					if err != nil {
						t.Fatal(err)
					}
					body, _ := io.ReadAll(response.Body)
					_ = response.Body.Close()
					if strings.TrimSpace(string(body)) != pod.Name {
						t.Errorf("answered by %q", body)
					}
				}
				cancel()
				_ = cmd.Wait()
			})
		}
	}
}

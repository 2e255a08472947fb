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
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	proxyconfig "k8s.io/kube-proxy/config/v1alpha1"
	"sigs.k8s.io/yaml"
)

// What the component of the install tree adds is what the agent takes, with the
// rights that it takes.
func TestTheInstallTreeCanAnnounce(t *testing.T) {
	config, err := filepath.Abs(filepath.Join("..", "..", "..", "config"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	relative, err := filepath.Rel(dir, config)
	if err != nil {
		t.Fatal(err)
	}
	text := "resources: [" + relative + "/default]\ncomponents: [" + relative + "/announce-l2]\n"
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rendered, err := exec.Command("go", "tool", "kustomize", "build", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(rendered), "\n---\n") {
		if !strings.Contains(document, "kind: DaemonSet\n") {
			continue
		}
		daemons := &appsv1.DaemonSet{}
		if err := yaml.UnmarshalStrict([]byte(document), daemons); err != nil {
			t.Fatal(err)
		}
		agent := daemons.Spec.Template.Spec.Containers[0]
		o := newOptions(proxyconfig.KubeProxyConfiguration{})
		if err := o.flags().Parse(agent.Args); err != nil {
			t.Fatal(err)
		}
		if want := []string{"l2"}; !slices.Equal(o.Own.Announce, want) {
			t.Errorf("it announces by %v, want %v", o.Own.Announce, want)
		}
		if want := []corev1.Capability{"NET_ADMIN", "NET_RAW"}; !slices.Equal(agent.SecurityContext.Capabilities.Add, want) {
			t.Errorf("it has the capabilities %v, want %v", agent.SecurityContext.Capabilities.Add, want)
		}
		return
	}
	t.Error("there is no DaemonSet")
}

func TestADeadConnectionIsGivenUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	conn, err := dialImpatient(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	timeout := 0
	if closed := raw.Control(func(fd uintptr) {
		timeout, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	}); closed != nil || err != nil {
		t.Fatal(closed, err)
	}
	if timeout != 2000 {
		t.Errorf("what is sent may be without answer for %d ms, want 2000", timeout)
	}
}

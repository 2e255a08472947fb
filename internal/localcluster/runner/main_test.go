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
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/internal/localcluster/pki"
	"switchyard.dev/switchyard/internal/localcluster/runner"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/testenv"
)

// inside marks the copy of this test that has a network of its own: the API
// server dials nodes, so it has to run next to them and not on the machine's.
const inside = "SWITCHYARD_TEST_INSIDE"

func TestMain(m *testing.M) {
	runner.MaybeChild()
	if os.Geteuid() == 0 && os.Getenv(inside) == "" {
		os.Exit(runInside())
	}
	if os.Getenv(inside) != "" {
		if err := netns.LoopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := m.Run()
	if shared.env != nil {
		_ = shared.env.Stop()
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// runInside runs this test again in new network and mount namespaces.
func runInside() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil { // no privileges: the tests say so themselves
		fmt.Fprintln(os.Stderr, "running in a network namespace:", err)
		return 1
	}
	return 0
}

// shared is the API server that all integration tests of the package use,
// started by the first.
var shared struct {
	once       sync.Once
	env        *envtest.Environment
	rest       *rest.Config
	dir        string
	kubeconfig string
	ca         *pki.Authority
	err        error
}

func apiServer(t *testing.T) *rest.Config {
	t.Helper()
	shared.once.Do(func() { shared.err = startAPIServer() })
	if shared.err != nil {
		t.Fatalf("starting an API server: %v", shared.err)
	}
	return shared.rest
}

func startAPIServer() (err error) {
	if shared.dir, err = os.MkdirTemp("", "switchyard-runner"); err != nil {
		return err
	}
	if shared.ca, err = pki.NewAuthority("nodes"); err != nil {
		return err
	}
	client, err := shared.ca.Client("kube-apiserver-kubelet-client")
	if err != nil {
		return err
	}
	files := map[string][]byte{"ca.crt": shared.ca.CertPEM(), "client.crt": client.Cert, "client.key": client.Key}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(shared.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	if shared.env, err = testenv.New(); err != nil {
		return err
	}
	shared.env.ControlPlane.GetAPIServer().Configure().
		Append("service-cluster-ip-range", "10.96.0.0/16,fd00:10:96::/112").
		Append("advertise-address", "172.30.0.1"). // there is no default route to find one by
		Append("kubelet-certificate-authority", filepath.Join(shared.dir, "ca.crt")).
		Append("kubelet-client-certificate", filepath.Join(shared.dir, "client.crt")).
		Append("kubelet-client-key", filepath.Join(shared.dir, "client.key")).
		Append("kubelet-preferred-address-types", "InternalIP")
	if shared.rest, err = shared.env.Start(); err != nil {
		return err
	}
	user, err := shared.env.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return err
	}
	config, err := user.KubeConfig()
	if err != nil {
		return err
	}
	shared.kubeconfig = filepath.Join(shared.dir, "kubeconfig")
	return os.WriteFile(shared.kubeconfig, config, 0o600)
}

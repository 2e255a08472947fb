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

package localcluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/localcluster/software"
)

func TestMissingProgramsAreNamedWithTheRemedy(t *testing.T) {
	dir, assets := t.TempDir(), t.TempDir()
	program(t, dir, "switchyard-node")
	program(t, assets, "etcd")
	program(t, assets, "kube-apiserver")
	_, err := findBinaries(dir, assets, software.Choice{}.Complete())
	if err == nil {
		t.Fatal("nothing was missed")
	}
	for _, want := range []string{"no kube-controller-manager, kube-scheduler in " + assets, "make controlplane", "no switchyard-manager, switchyard-dns in " + dir, "make build"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestProgramsAreFoundBesideThisOne(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"switchyard-node", "switchyard-manager", "switchyard-dns", "k8s/etcd", "k8s/kube-apiserver", "k8s/kube-controller-manager", "k8s/kube-scheduler"} {
		program(t, dir, name)
	}
	got, err := findBinaries(dir, "", software.Choice{}.Complete())
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "k8s", "etcd"); got.Etcd != want {
		t.Errorf("etcd is %s, want %s", got.Etcd, want)
	}
}

func TestOnlyWhatIsChosenIsMissed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"k8s/etcd", "k8s/kube-apiserver", "k8s/kube-controller-manager", "k8s/kube-scheduler"} {
		program(t, dir, name)
	}
	stock := software.Choice{Suite: software.SuiteNone}
	if _, err := findBinaries(dir, "", stock.Complete()); err != nil {
		t.Error(err)
	}
	t.Setenv("PATH", dir)
	for mode, tool := range map[string]string{software.KubeProxyIPTables: "iptables", software.KubeProxyNFTables: "nft"} {
		stock.KubeProxy = mode
		_, err := findBinaries(dir, "", stock.Complete())
		for _, want := range []string{"no kube-proxy in " + filepath.Join(dir, "k8s") + ": run `make controlplane`", "needs the program " + tool + ": run `make deps`"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in: %v", want, err)
			}
		}
	}
}

func program(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
}

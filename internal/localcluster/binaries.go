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
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"switchyard.dev/switchyard/internal/localcluster/software"
	"switchyard.dev/switchyard/internal/localcluster/supervisor"
)

// assetsVar names the environment variable that chooses where the control
// plane's programs are, as with envtest.
const assetsVar = "KUBEBUILDER_ASSETS"

// FindBinaries finds the programs of a cluster: the suite's beside this
// program, the control plane's in k8s/ below that, or in KUBEBUILDER_ASSETS.
// The error names every one that is missing of those chosen, and the remedy.
func FindBinaries(chosen software.Choice) (supervisor.Binaries, error) {
	self, err := os.Executable()
	if err != nil {
		return supervisor.Binaries{}, fmt.Errorf("finding the switchyard program: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return supervisor.Binaries{}, fmt.Errorf("finding the switchyard program: %w", err)
	}
	return findBinaries(filepath.Dir(self), os.Getenv(assetsVar), chosen)
}

func findBinaries(dir, assets string, chosen software.Choice) (supervisor.Binaries, error) {
	remedy := "run `make controlplane`"
	if assets == "" {
		assets = filepath.Join(dir, "k8s")
	} else {
		remedy = "add it there, or unset " + assetsVar + " and run `make controlplane`"
	}
	b := supervisor.Binaries{
		Etcd:              filepath.Join(assets, "etcd"),
		APIServer:         filepath.Join(assets, "kube-apiserver"),
		ControllerManager: filepath.Join(assets, "kube-controller-manager"),
		Scheduler:         filepath.Join(assets, "kube-scheduler"),
		Manager:           filepath.Join(dir, "switchyard-manager"),
		NodeAgent:         filepath.Join(dir, "switchyard-node"),
		DNS:               filepath.Join(dir, "switchyard-dns"),
		KubeProxy:         filepath.Join(assets, "kube-proxy"),
	}
	controlPlane := []string{b.Etcd, b.APIServer, b.ControllerManager, b.Scheduler}
	if chosen.WithKubeProxy() {
		controlPlane = append(controlPlane, b.KubeProxy)
	}
	errs := []error{missing(assets, remedy, controlPlane...), missingTool(chosen.KubeProxy)}
	if chosen.WithSuite() {
		errs = append(errs, missing(dir, "run `make build`", b.Manager, b.NodeAgent, b.DNS))
	}
	return b, errors.Join(errs...)
}

// missingTool tells of the program that kube-proxy programs the kernel with.
func missingTool(mode string) error {
	program, pkg := "iptables", "iptables"
	switch mode {
	case software.KubeProxyNone:
		return nil
	case software.KubeProxyNFTables:
		program, pkg = "nft", "nftables"
	}
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("--kube-proxy=%s needs the program %s: run `make deps`, or install the package %s", mode, program, pkg)
	}
	return nil
}

// missing names the programs among paths that can not be run.
func missing(dir, remedy string, paths ...string) error {
	var names []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || info.IsDir() || info.Mode().Perm()&0o111 == 0 {
			names = append(names, filepath.Base(path))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("no %s in %s: %s", strings.Join(names, ", "), dir, remedy)
}

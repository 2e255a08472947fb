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

package process

import (
	"os"
	"os/exec"
	"path/filepath"

	"switchyard.dev/switchyard/test/testenv"
)

// KubeControllerManager is the command that runs Kubernetes' own controllers of
// those names.
func KubeControllerManager(kubeconfig, controllers string, args ...string) *exec.Cmd {
	program := Built("k8s/kube-controller-manager")
	if assets, err := testenv.Assets(); err == nil {
		// envtest's own assets do not have it.
		if theirs := filepath.Join(assets, "kube-controller-manager"); exists(theirs) {
			program = theirs
		}
	}
	return exec.Command(program, append([]string{"--kubeconfig=" + kubeconfig, "--secure-port=0", "--controllers=" + controllers}, args...)...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

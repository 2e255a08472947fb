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

package install

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/traffic"
)

var programs = []string{"switchyard-manager", "switchyard-node", "switchyard-dns"}

// imageDir has the image of this version once a test wants it.
var imageDir string

// imageArchive is the image of the programs in bin/.
var imageArchive = sync.OnceValues(func() (archive string, err error) {
	return assemble(imageDir, filepath.Join(testenv.Root(), "bin"), "switchyard:latest")
})

// assemble makes an image of programs in dir, as `make image` does for a release,
// for this machine alone.
func assemble(dir, programsDir, name string) (string, error) {
	platform := filepath.Join(dir, "binaries", "linux_"+runtime.GOARCH)
	if err := os.MkdirAll(platform, 0o755); err != nil {
		return "", err
	}
	for _, program := range programs {
		if err := copyFile(filepath.Join(programsDir, program), filepath.Join(platform, program)); err != nil {
			return "", err
		}
	}
	archive := filepath.Join(dir, "image.tar")
	run := exec.Command("go", "run", ".", "-binaries", filepath.Join(dir, "binaries"), "-output", archive, "-name", name, "-local")
	run.Dir = filepath.Join(testenv.Root(), "hack", "image")
	if out, err := run.CombinedOutput(); err != nil {
		return "", fmt.Errorf("assembling %s: %w: %s", name, err, out)
	}
	return archive, nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

func TestMain(m *testing.M) {
	traffic.Main()
	ctrl.SetLogger(logr.Discard()) // the clients' of the checks
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "switchyard-install-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := auditClusters(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	imageDir = filepath.Join(dir, "image")
	return m.Run()
}

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
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/testenv"
)

// rendered is what hack/render.sh prints, as `make deploy` and `make build-installer`
// with an IMG of the user's use it.
func rendered(t *testing.T, image, kustomization string) (manifests, complaint string, err error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(testenv.Root(), "hack", "render.sh"), image, kustomization)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err = c.Run()
	return stdout.String(), stderr.String(), err
}

func TestAnImageOfTheUsers(t *testing.T) {
	t.Parallel()
	tag, digest := "registry.example.com:5000/team/switchyard:v1.2_3", "registry.example.com/switchyard:v1@sha256:"+strings.Repeat("0a", 32)
	for kustomization, image := range map[string]string{
		"config/overlays/stock": tag, "config/overlays/node": digest, "config/overlays/full": tag, "config/dns": digest,
	} {
		manifests, complaint, err := rendered(t, image, kustomization)
		if err != nil {
			t.Fatalf("%s: %v: %s", kustomization, err, complaint)
		}
		images := 0
		for line := range strings.Lines(manifests) {
			if name, isImage := strings.CutPrefix(strings.TrimLeft(line, " -"), "image:"); isImage {
				images++
				if got := strings.TrimSpace(name); got != image {
					t.Errorf("%s has the image %s, want %s", kustomization, got, image)
				}
			}
		}
		if images == 0 || strings.Contains(manifests, "switchyard:latest") {
			t.Errorf("%s has %d images, and switchyard:latest is left: %t", kustomization, images, strings.Contains(manifests, "switchyard:latest"))
		}
	}
}

func TestWhatIsNoNameOfAnImage(t *testing.T) {
	t.Parallel()
	for _, image := range []string{"", "a#b", "a&b", `a\b`, "a b", "a\nb", "a: b", "$(id)", "a'b", "a@", "a@sha256:", "a@sha256:xyz", "a@sha256:00@sha256:00"} {
		manifests, complaint, err := rendered(t, image, "config/dns")
		if err == nil || manifests != "" || !strings.Contains(complaint, `"`+image+`" is no name of an image`) {
			t.Errorf("%q: %v, %d bytes of manifests, and it says %q", image, err, len(manifests), complaint)
		}
	}
}

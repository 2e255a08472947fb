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

package runner

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// subPaths are the links that a program may put into a volume, and whether a
// path through them leads out of it.
var subPaths = map[string]struct {
	link, target string
	out          bool
}{
	"root/etc":    {"root", "/", true},
	"up":          {"up", "..", true},
	"far/outside": {"far", "dir/../../..", true},
	"self/file":   {"self", "/proc/self/cwd", true},
	"near/file":   {"near", "dir/../dir", false},
	"dir/file":    {"unused", "/", false},
}

// volumeWithLinks is an emptyDir's directory in a Pod's, with dir/file in it.
func volumeWithLinks(t *testing.T) (pod, volume string) {
	t.Helper()
	pod = t.TempDir()
	volume = filepath.Join(volumesDir(pod), "v")
	if err := os.MkdirAll(filepath.Join(volume, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(volume, "dir", "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range subPaths {
		if err := os.Symlink(tc.target, filepath.Join(volume, tc.link)); err != nil {
			t.Fatal(err)
		}
	}
	return pod, volume
}

func TestNoSubPathLeavesItsVolume(t *testing.T) {
	_, volume := volumeWithLinks(t)
	for path, tc := range subPaths {
		fd, err := mount{Source: volume, Within: path}.open()
		if tc.out {
			if err == nil || !strings.Contains(err.Error(), "leads out of the volume") {
				t.Errorf("%s: %v", path, err)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		var got, want unix.Stat_t
		if err := unix.Fstat(fd, &got); err != nil {
			t.Fatal(err)
		}
		if err := unix.Stat(filepath.Join(volume, "dir", "file"), &want); err != nil || got.Ino != want.Ino {
			t.Errorf("%s is another file: %v", path, err)
		}
		_ = unix.Close(fd)
	}
}

func TestNoDirectoryIsMadeOutsideOfAVolume(t *testing.T) {
	dir, volume := volumeWithLinks(t)
	w := &worker{sandbox: &sandbox{dir: dir}}
	mounts := func(subPath string) ([]mount, error) {
		pod := podOf("main")
		pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/data", SubPath: subPath}}
		return w.volumeMounts(t.Context(), pod, &container{spec: &pod.Spec.Containers[0], kind: kindImage})
	}
	if _, err := mounts("up/made"); err == nil {
		t.Error("a path that leads out is taken")
	}
	if entries, err := os.ReadDir(filepath.Dir(volume)); err != nil || len(entries) != 1 {
		t.Errorf("%v is beside the volume, %v", entries, err)
	}
	for _, path := range []string{"made/deep", "near/made", "near/file"} {
		found, err := mounts(path)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", path, found, err)
		}
		fd, err := found[0].open()
		if err != nil {
			t.Error(err)
			continue
		}
		_ = unix.Close(fd)
	}
}

// TestAVolumeThatCanNotBeMadeIsNotThere: the next container to want it would take
// what is left for a volume.
func TestAVolumeThatCanNotBeMadeIsNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volumes", "v")
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // which ends with this, as it has no rights any more
		header, none := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
		if err := unix.Capset(&header, &none[0]); err != nil {
			made <- nil
			return
		}
		made <- makeEmptyDir(dir, &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}, nil)
	}()
	if err := <-made; err == nil || !strings.Contains(err.Error(), "mounting a tmpfs") {
		t.Fatalf("a tmpfs was mounted without the right to: %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is left behind: %v", err)
	}
}

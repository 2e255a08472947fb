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
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// volumeMounts makes the volumes that a program's container mounts: projected
// ones (the service account's token is one), ConfigMaps, Secrets, emptyDir and
// hostPath. For a program of this machine a mount path must exist there or lie
// under /run, where every such program has its own.
func (w *worker) volumeMounts(ctx context.Context, pod *corev1.Pod, c *container) ([]mount, error) {
	var mounts []mount
	for _, vm := range c.spec.VolumeMounts {
		if c.kind == kindLocal {
			target := resolve(vm.MountPath)
			if _, err := os.Stat(target); err != nil && !strings.HasPrefix(target, "/run/") {
				return nil, fmt.Errorf("%w: volume %s: %s does not exist on this machine; mount it below /run", errConfig, vm.Name, vm.MountPath)
			}
		}
		for i := range pod.Spec.Volumes {
			v := &pod.Spec.Volumes[i]
			if v.Name != vm.Name {
				continue
			}
			source, err := w.volume(ctx, pod, v)
			if err != nil {
				return nil, fmt.Errorf("%w: volume %s: %w", errConfig, vm.Name, err)
			}
			within := strings.TrimPrefix(filepath.Clean("/"+vm.SubPath), "/")
			if v.EmptyDir != nil && within != "" {
				if err := makeWithin(source, within); err != nil {
					return nil, fmt.Errorf("%w: volume %s: %w", errConfig, vm.Name, err)
				}
			}
			mounts = append(mounts, mount{Source: source, Within: within, Target: vm.MountPath, ReadOnly: vm.ReadOnly || isKept(v)})
		}
	}
	return mounts, nil
}

// volume makes one volume, if this is its Pod's first container to want it, and
// returns its directory.
func (w *worker) volume(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) (string, error) {
	dir := filepath.Join(volumesDir(w.sandbox.dir), v.Name)
	switch {
	case v.HostPath != nil:
		return v.HostPath.Path, nil
	case v.EmptyDir != nil:
		if _, err := os.Stat(dir); err == nil {
			return dir, nil
		}
		return dir, makeEmptyDir(dir, v.EmptyDir, volumeGroup(pod))
	case isKept(v):
		return dir, w.sandbox.volumes.add(ctx, pod, v, dir)
	}
	return "", errors.New("its type is not supported by the local cluster")
}

// makeWithin makes a directory in a volume, where no link leads out of it.
func makeWithin(volume, path string) error {
	root, err := os.OpenRoot(volume)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if _, err := root.Stat(path); err == nil {
		return nil // perhaps a file
	}
	return root.MkdirAll(path, 0o777)
}

// isKept tells of volumes with objects' content, which is kept up to date and
// which programs can not write.
func isKept(v *corev1.Volume) bool {
	return v.ConfigMap != nil || v.Secret != nil || v.DownwardAPI != nil || v.Projected != nil
}

func volumesDir(sandbox string) string { return filepath.Join(sandbox, "volumes") }

// makeEmptyDir makes one that everybody can write, in memory if that is asked
// for; a size limit is of memory alone. It is there once it is whole: a directory
// that is left behind would be taken for it.
func makeEmptyDir(dir string, source *corev1.EmptyDirVolumeSource, group *int64) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = unix.Unmount(dir, unix.MNT_DETACH) // it may not be mounted
			err = errors.Join(err, os.Remove(dir))
		}
	}()
	if source.Medium == corev1.StorageMediumMemory {
		options := "mode=0777"
		if limit := source.SizeLimit; limit != nil && limit.Sign() > 0 {
			options += fmt.Sprintf(",size=%d", limit.Value())
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
			return fmt.Errorf("mounting a tmpfs: %w", err)
		}
	}
	mode := os.FileMode(0o777)
	if group != nil {
		if err := own(dir, -1, int(*group)); err != nil {
			return err
		}
		mode |= os.ModeSetgid
	}
	return os.Chmod(dir, mode)
}

// unmountVolumes undoes what makeEmptyDir mounted.
func unmountVolumes(sandbox string) {
	entries, _ := os.ReadDir(volumesDir(sandbox))
	for _, entry := range entries {
		_ = unix.Unmount(filepath.Join(volumesDir(sandbox), entry.Name()), unix.MNT_DETACH)
	}
}

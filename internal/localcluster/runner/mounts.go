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
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// openVolume is a mount that has been taken up and not been put anywhere yet: its
// source can be out of reach by then.
type openVolume struct {
	fd     int
	isDir  bool
	target string
}

// openVolumes are in the order in which they can be mounted: a volume may be
// within another.
func openVolumes(mounts []mount) ([]openVolume, error) {
	mounts = slices.Clone(mounts)
	slices.SortStableFunc(mounts, func(a, b mount) int {
		return cmp.Compare(strings.Count(filepath.Clean(a.Target), "/"), strings.Count(filepath.Clean(b.Target), "/"))
	})
	var open []openVolume
	for _, m := range mounts {
		fd, isDir, err := m.take()
		if err != nil {
			return nil, fmt.Errorf("volume at %s: %w", m.Target, err)
		}
		if m.ReadOnly {
			attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
			if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr); err != nil {
				return nil, fmt.Errorf("making %s read-only: %w", m.Source, err)
			}
		}
		open = append(open, openVolume{fd: fd, isDir: isDir, target: m.Target})
	}
	return open, nil
}

// open opens the source. Programs may put links into a volume at any time, so a
// path in it is looked up at once and fails, as with a kubelet, where it leads
// out.
func (m mount) open() (int, error) {
	source, err := unix.Open(m.Source, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening %s: %w", m.Source, err)
	}
	if m.Within == "" {
		return source, nil
	}
	defer func() { _ = unix.Close(source) }()
	within, err := unix.Openat2(source, m.Within, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH})
	if errors.Is(err, unix.EXDEV) {
		return -1, fmt.Errorf("opening %s in %s: the path leads out of the volume", m.Within, m.Source)
	}
	if err != nil {
		return -1, fmt.Errorf("opening %s in %s: %w", m.Within, m.Source, err)
	}
	return within, nil
}

// take takes up the source as a mount of its own.
func (m mount) take() (fd int, isDir bool, err error) {
	source, err := m.open()
	if err != nil {
		return -1, false, err
	}
	defer func() { _ = unix.Close(source) }()
	var stat unix.Stat_t
	if err := unix.Fstat(source, &stat); err != nil {
		return -1, false, err
	}
	fd, err = unix.OpenTree(source, "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, false, fmt.Errorf("opening %s as a mount: %w", m.Source, err)
	}
	return fd, stat.Mode&unix.S_IFMT == unix.S_IFDIR, nil
}

// mount puts it in its place in the root that there is by now, where links are
// the image's.
func (v openVolume) mount() error {
	if err := os.MkdirAll(filepath.Dir(v.target), 0o755); err != nil {
		return fmt.Errorf("making %s: %w", v.target, err)
	}
	if v.isDir {
		if err := os.MkdirAll(v.target, 0o755); err != nil {
			return fmt.Errorf("making %s: %w", v.target, err)
		}
	} else if _, err := os.Stat(v.target); err != nil {
		if err := os.WriteFile(v.target, nil, 0o644); err != nil {
			return fmt.Errorf("making %s: %w", v.target, err)
		}
	}
	const flags = unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_SYMLINKS
	if err := unix.MoveMount(v.fd, "", unix.AT_FDCWD, v.target, flags); err != nil {
		return fmt.Errorf("mounting %s: %w", v.target, err)
	}
	return unix.Close(v.fd)
}

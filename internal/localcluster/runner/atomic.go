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
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Names within a volume: what programs see are links into dataLink, which leads
// to the present directory of files.
const (
	dataLink     = "..data"
	nextDataLink = "..data_tmp"
)

// write makes dir hold the payload, all of it at one moment: readers see all old
// files or all new ones, and whoever watches dir sees one rename.
func (p payload) write(dir string, group *int64) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // paths come from objects: none can leave it
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	old, _ := root.Readlink(dataLink)
	path, err := os.MkdirTemp(dir, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return err
	}
	next, used := filepath.Base(path), false
	defer func() {
		if !used { // it would be one more each time that this is tried again
			err = errors.Join(err, root.RemoveAll(next))
		}
	}()
	if err := p.fill(root, next, group); err != nil {
		return err
	}
	if err := root.RemoveAll(nextDataLink); err != nil {
		return err
	}
	if err := root.Symlink(next, nextDataLink); err != nil {
		return err
	}
	if err := root.Rename(nextDataLink, dataLink); err != nil {
		return err
	}
	used = true
	err = p.link(root)
	if old == "" || !filepath.IsLocal(old) {
		return err
	}
	return errors.Join(err, root.RemoveAll(old))
}

func (p payload) fill(root *os.Root, dir string, group *int64) error {
	if err := root.Chmod(dir, 0o755); err != nil {
		return err
	}
	for name, file := range p {
		if !filepath.IsLocal(name) {
			return fmt.Errorf("path %q leads out of the volume", name)
		}
		at := path.Join(dir, name)
		if err := root.MkdirAll(path.Dir(at), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(at, []byte(file.content), 0o600); err != nil {
			return err
		}
		if err := file.protect(filepath.Join(root.Name(), at), group); err != nil {
			return err
		}
	}
	return nil
}

// protect sets the owner and the mode; the volume's group may always read.
func (f volumeFile) protect(at string, group *int64) error {
	user, mode := -1, f.mode
	if f.user != nil {
		user = int(*f.user)
	}
	groupID := -1
	if group != nil {
		groupID, mode = int(*group), mode|0o440
	}
	if err := own(at, user, groupID); err != nil {
		return err
	}
	return os.Chmod(at, mode)
}

// link makes a link for each first part of a path, and removes those of files
// that are no more.
func (p payload) link(root *os.Root) error {
	wanted := map[string]bool{}
	for name := range p {
		top, _, _ := strings.Cut(name, "/")
		wanted[top] = true
	}
	for name := range wanted {
		if _, err := root.Lstat(name); err == nil {
			continue
		}
		if err := root.Symlink(dataLink+"/"+name, name); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(root.Name())
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !wanted[entry.Name()] && !strings.HasPrefix(entry.Name(), "..") {
			if err := root.Remove(entry.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

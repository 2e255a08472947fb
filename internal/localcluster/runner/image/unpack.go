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

package image

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds of one image. Ours has three programs of some 60 MiB.
const (
	maxImage = 4 << 30
	maxFiles = 200_000
)

// Names of whiteouts (image-spec, layer.md).
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// unpack makes root from an image's layers, whole or not at all.
func (a *archive) unpack(m manifest, root string) (err error) {
	next := root + ".next"
	if err := os.RemoveAll(next); err != nil {
		return err
	}
	if err := os.MkdirAll(next, 0o755); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(next)
		}
	}()
	to, err := os.OpenRoot(next)
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	u := &unpacker{root: to, bytes: maxImage, files: maxFiles}
	for _, layer := range m.Layers {
		if err := a.layer(layer, u); err != nil {
			return fmt.Errorf("layer %s: %w", layer.Digest, err)
		}
	}
	return os.Rename(next, root)
}

func (a *archive) layer(d descriptor, u *unpacker) error {
	blob, err := a.blob(d)
	if err != nil {
		return err
	}
	content := blob
	switch {
	case strings.HasSuffix(d.MediaType, "gzip"):
		if content, err = gzip.NewReader(blob); err != nil {
			return err
		}
	case !strings.HasSuffix(d.MediaType, "tar"):
		return fmt.Errorf("type %q is not supported", d.MediaType)
	}
	limited := &bounded{from: content, left: u.bytes}
	u.made = map[string]bool{}
	if err := u.layer(tar.NewReader(limited)); err != nil {
		return err
	}
	u.bytes = limited.left
	_, err = io.Copy(io.Discard, blob) // to its end, where its digest is compared
	return err
}

// unpacker writes layers over each other. All paths are of its root, which no
// link leads out of.
type unpacker struct {
	root  *os.Root
	bytes int64
	files int
	made  map[string]bool // by this layer: whiteouts hide only what layers below have
}

func (u *unpacker) layer(r *tar.Reader) error {
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := u.count(); err != nil {
			return err
		}
		name := path.Clean(header.Name)
		if len(name) >= unix.PathMax {
			return fmt.Errorf("path %.32q... is too long", name)
		}
		if !filepath.IsLocal(name) {
			return fmt.Errorf("path %q leads out of the image", header.Name)
		}
		if err := u.entry(name, header, r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

// count counts one more file or directory.
func (u *unpacker) count() error {
	if u.files--; u.files < 0 {
		return fmt.Errorf("the image has more than %d files", maxFiles)
	}
	return nil
}

// parents makes the directories that have no entries of their own.
func (u *unpacker) parents(dir string) error {
	if _, err := u.root.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := u.parents(path.Dir(dir)); err != nil {
		return err
	}
	if err := u.count(); err != nil {
		return err
	}
	return u.root.Mkdir(dir, 0o755)
}

func (u *unpacker) entry(name string, header *tar.Header, content io.Reader) error {
	base := path.Base(name)
	switch {
	case base == opaque:
		return u.clear(path.Dir(name))
	case strings.HasPrefix(base, whiteout):
		return u.hide(path.Dir(name), strings.TrimPrefix(base, whiteout))
	case name == ".":
		return nil
	}
	if err := u.parents(path.Dir(name)); err != nil {
		return err
	}
	for at := name; at != "."; at = path.Dir(at) {
		u.made[at] = true
	}
	if err := u.make(name, header, content); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeLink {
		return nil // its owner and mode are those of what it is a link to
	}
	if os.Geteuid() == 0 { // else all files are the user's, who is root in the cluster
		if err := u.root.Lchown(name, header.Uid, header.Gid); err != nil && !errors.Is(err, unix.EINVAL) { // an owner that this user namespace has not
			return err
		}
	}
	if header.Typeflag == tar.TypeSymlink {
		return nil
	}
	mode := header.FileInfo().Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	if header.Typeflag == tar.TypeDir {
		mode |= 0o700 // to be written into by the next layer, and removed
	}
	return u.root.Chmod(name, mode)
}

func (u *unpacker) make(name string, header *tar.Header, content io.Reader) error {
	if header.Typeflag == tar.TypeDir {
		if info, err := u.root.Lstat(name); err == nil && info.IsDir() {
			return nil
		}
	}
	if err := u.root.RemoveAll(name); err != nil { // of a layer below
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return u.root.Mkdir(name, 0o755)
	case tar.TypeReg:
		if isSparse(header) {
			return errors.New("sparse files are not supported")
		}
		file, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	case tar.TypeSymlink:
		return u.root.Symlink(header.Linkname, name)
	case tar.TypeLink:
		old := path.Clean(header.Linkname)
		if !filepath.IsLocal(old) {
			return fmt.Errorf("it is a link to %q, out of the image", header.Linkname)
		}
		return u.root.Link(old, name)
	}
	return fmt.Errorf("entries of type %q are not supported: only files, directories and links are", header.Typeflag)
}

// isSparse tells of files with holes, which are larger than what the layer has of
// them: their zeros come from nowhere, and no bound would see them. The older
// kind is of a type of its own.
func isSparse(header *tar.Header) bool {
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// hide hides what layers below have of that name in a directory, which may be
// one that this layer adds to.
func (u *unpacker) hide(dir, name string) error {
	if name == "" || name == "." || name == ".." {
		return errors.New("the whiteout names no file")
	}
	at := path.Join(dir, name)
	if !u.made[at] {
		return u.root.RemoveAll(at)
	}
	if info, err := u.root.Lstat(at); err != nil || !info.IsDir() {
		return err
	}
	return u.clear(at)
}

// clear hides what layers below have in a directory.
func (u *unpacker) clear(dir string) error {
	d, err := u.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	entries, err := d.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := u.hide(dir, entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

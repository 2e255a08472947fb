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

package image_test

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/localcluster/runner/image"
	"switchyard.dev/switchyard/internal/localcluster/runner/image/imagetest"
)

func load(t *testing.T, a imagetest.Archive) (image.Set, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	a.Write(t, path)
	return image.Load([]string{path}, t.TempDir())
}

// tree is what is below a directory, with modes, content and targets of links.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		var content []byte
		switch {
		case info.Mode().IsRegular():
			content, err = os.ReadFile(path)
		case info.Mode()&fs.ModeSymlink != 0:
			var target string
			target, err = os.Readlink(path)
			content = []byte("-> " + target)
		}
		found[path[len(root)+1:]] = strings.TrimSpace(info.Mode().String() + " " + string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestLayersLieOverEachOther(t *testing.T) {
	set, err := load(t, imagetest.Archive{Name: "example.com/app:v1", Config: image.Config{User: "7", Env: []string{"A=b"}}, Layers: [][]imagetest.File{
		{
			{Name: "etc/"}, {Name: "etc/keep", Content: "1"}, {Name: "etc/change", Content: "1"}, {Name: "etc/gone", Content: "1"},
			{Name: "old/"}, {Name: "old/a", Content: "1"}, {Name: "tmp/", Mode: 0o1777}, {Name: "was/"}, {Name: "was/dir", Content: "1"},
		},
		{
			{Name: "etc/.wh.gone"}, {Name: "etc/change", Content: "2", Mode: 0o600}, {Name: "etc/link", Link: "keep", Type: tar.TypeSymlink},
			{Name: "etc/same", Link: "etc/keep", Type: tar.TypeLink}, {Name: "old/new", Content: "2"}, {Name: "old/.wh..wh..opq"},
			{Name: "deep/er/file", Content: "2", Mode: 0o755}, {Name: "was", Content: "2"},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"etc": "drwxr-xr-x", "etc/keep": "-rw-r--r-- 1", "etc/change": "-rw------- 2", "etc/link": "Lrwxrwxrwx -> keep", "etc/same": "-rw-r--r-- 1",
		"old": "drwxr-xr-x", "old/new": "-rw-r--r-- 2", "tmp": "dtrwxrwxrwx",
		"deep": "drwxr-xr-x", "deep/er": "drwxr-xr-x", "deep/er/file": "-rwxr-xr-x 2", "was": "-rw-r--r-- 2",
	}
	if diff := cmp.Diff(want, tree(t, set[0].Root)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(image.Config{User: "7", Env: []string{"A=b"}}, set[0].Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(set[0].Digest(), "example.com/app@sha256:") {
		t.Errorf("digest %q", set[0].Digest())
	}
}

// TestAWhiteoutHidesOnlyWhatIsBelow: where in its layer it is makes no difference.
func TestAWhiteoutHidesOnlyWhatIsBelow(t *testing.T) {
	below := []imagetest.File{{Name: "a/"}, {Name: "a/below", Content: "1"}, {Name: "a/sub/below", Content: "1"}}
	tests := map[string]struct {
		layer []imagetest.File
		want  map[string]string
	}{
		"a file of its layer": {[]imagetest.File{{Name: "a/.wh.below"}, {Name: "a/below", Content: "2"}},
			map[string]string{"a": "drwxr-xr-x", "a/below": "-rw-r--r-- 2", "a/sub": "drwxr-xr-x", "a/sub/below": "-rw-r--r-- 1"}},
		"a directory": {[]imagetest.File{{Name: ".wh.a"}}, map[string]string{}},
		"a directory that its layer adds to": {[]imagetest.File{{Name: ".wh.a"}, {Name: "a/sub/new", Content: "2"}},
			map[string]string{"a": "drwxr-xr-x", "a/sub": "drwxr-xr-x", "a/sub/new": "-rw-r--r-- 2"}},
		"all that is in a directory": {[]imagetest.File{{Name: "a/.wh..wh..opq"}, {Name: "a/sub/new", Content: "2"}},
			map[string]string{"a": "drwxr-xr-x", "a/sub": "drwxr-xr-x", "a/sub/new": "-rw-r--r-- 2"}},
		"nothing": {[]imagetest.File{{Name: "a/.wh.none"}, {Name: "none/.wh.none"}, {Name: ".wh.a"}}, map[string]string{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			backwards := slices.Clone(tc.layer)
			slices.Reverse(backwards)
			for _, layer := range [][]imagetest.File{tc.layer, backwards} {
				set, err := load(t, imagetest.Archive{Name: "app", Layers: [][]imagetest.File{below, layer}})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.want, tree(t, set[0].Root)); diff != "" {
					t.Errorf("%v makes of the files (-want +got):\n%s", layer, diff)
				}
			}
		})
	}
}

func TestImagesAreFoundByAnyOfTheirNames(t *testing.T) {
	set, err := load(t, imagetest.Archive{Name: "index.docker.io/library/switchyard:latest"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"switchyard": true, "switchyard:latest": true, "docker.io/library/switchyard": true, "docker.io/switchyard:latest": true, set[0].Digest(): true,
		"switchyard:v1": false, "other": false, "ghcr.io/switchyard": false, "localhost/switchyard": false, "Not An Image": false, "": false,
	} {
		if _, got := set.Find(name); got != want {
			t.Errorf("%q: found %t", name, got)
		}
	}
}

func TestALaterArchiveTakesAName(t *testing.T) {
	var paths []string
	for _, user := range []string{"1", "2"} {
		path := filepath.Join(t.TempDir(), "image.tar")
		imagetest.Archive{Name: "app", Config: image.Config{User: user}}.Write(t, path)
		paths = append(paths, path)
	}
	set, err := image.Load(paths, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if found, _ := set.Find("app"); found.Config.User != "2" {
		t.Errorf("app is that of user %s", found.Config.User)
	}
}

func TestWhatIsWrongWithAnArchiveIsSaid(t *testing.T) {
	one := func(files ...imagetest.File) imagetest.Archive {
		return imagetest.Archive{Name: "app", Layers: [][]imagetest.File{files}}
	}
	changed := func(change func(members map[string][]byte)) imagetest.Archive {
		a := one(imagetest.File{Name: "file", Content: "content"})
		a.Change = change
		return a
	}
	otherArch := one()
	otherArch.Arch = "s390x"
	tests := map[string]struct {
		archive imagetest.Archive
		want    string
	}{
		"a path above":                   {one(imagetest.File{Name: "../file"}), "leads out of the image"},
		"an absolute path":               {one(imagetest.File{Name: "/etc/file"}), "leads out of the image"},
		"through a link that leads out":  {one(imagetest.File{Name: "out", Link: "..", Type: tar.TypeSymlink}, imagetest.File{Name: "out/file"}), "escapes"},
		"through a link to this machine": {one(imagetest.File{Name: "out", Link: "/tmp", Type: tar.TypeSymlink}, imagetest.File{Name: "out/file"}), "escapes"},
		"a hard link out":                {one(imagetest.File{Name: "hosts", Link: "../../etc/hosts", Type: tar.TypeLink}), "out of the image"},
		"a device":                       {one(imagetest.File{Name: "dev/mem", Type: tar.TypeChar}), "only files, directories and links"},
		"a whiteout of no name":          {one(imagetest.File{Name: "a/file"}, imagetest.File{Name: "a/.wh."}), "names no file"},
		"a whiteout of its directory":    {one(imagetest.File{Name: "a/file"}, imagetest.File{Name: "a/.wh.."}), "names no file"},
		"a whiteout of the one above":    {one(imagetest.File{Name: "a/b/file"}, imagetest.File{Name: "a/b/.wh..."}), "names no file"},
		"another architecture":           {otherArch, "is not for linux/"},
		"no name":                        {imagetest.Archive{Name: ""}, "does not name its image"},
		"an unknown type": {changed(func(members map[string][]byte) {
			members["index.json"] = bytes.ReplaceAll(members["index.json"], []byte("image.index.v1"), []byte("artifact.v1"))
		}), "is not supported"},
		"no layout":      {changed(func(members map[string][]byte) { delete(members, "oci-layout") }), "no OCI archive"},
		"a missing blob": {changed(func(members map[string][]byte) { deleteBlobs(members) }), "is missing"},
		"damaged blobs": {changed(func(members map[string][]byte) {
			for name, content := range members {
				if strings.HasPrefix(name, "blobs/") {
					content[len(content)-1] ^= 1
				}
			}
		}), "is damaged"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, tc.archive)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}

func deleteBlobs(members map[string][]byte) {
	for name := range members {
		if strings.HasPrefix(name, "blobs/") {
			delete(members, name)
		}
	}
}

func TestAFileThatIsNoArchiveIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, []byte("no tar file, but long enough to be one of any kind at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ path, want string }{{path, "it is no tar file"}, {path + ".none", "no such file"}} {
		_, err := image.Load([]string{tc.path}, t.TempDir())
		if err == nil || !strings.Contains(err.Error(), "loading image "+tc.path) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func TestAnImageThatCanNotBeUnpackedLeavesNothing(t *testing.T) {
	path, dir := filepath.Join(t.TempDir(), "image.tar"), t.TempDir()
	imagetest.Archive{Name: "app", Layers: [][]imagetest.File{{{Name: "good"}}, {{Name: "dev/mem", Type: tar.TypeChar}}}}.Write(t, path)
	if _, err := image.Load([]string{path}, dir); err == nil {
		t.Fatal("it was unpacked")
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

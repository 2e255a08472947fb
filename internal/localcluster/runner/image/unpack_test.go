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
	"bytes"
	"os"
	"strings"
	"testing"
)

// ofLayer unpacks a layer of one file, of which there may be four.
func ofLayer(t *testing.T, header tar.Header, content string) error {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	header.Typeflag, header.Mode, header.Size = tar.TypeReg, 0o644, int64(len(content))
	if err := w.WriteHeader(&header); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	// The package writes no such records, but reads them.
	layer := bytes.ReplaceAll(b.Bytes(), []byte("NOT.sparse."), []byte("GNU.sparse."))
	u := &unpacker{root: root, files: 4, made: map[string]bool{}}
	return u.layer(tar.NewReader(bytes.NewReader(layer)))
}

func TestWhatGrowsBeyondItsLayerIsRefused(t *testing.T) {
	none := "0\n" + strings.Repeat("\x00", 510) // a map of no data at all
	tests := map[string]struct {
		header  tar.Header
		content string
		want    string
	}{
		"a file with holes, by its content": {tar.Header{Name: "file", PAXRecords: map[string]string{
			"NOT.sparse.major": "1", "NOT.sparse.minor": "0", "NOT.sparse.realsize": "1048576",
		}}, none, "sparse files are not supported"},
		"a file with holes, by its header": {tar.Header{Name: "file", PAXRecords: map[string]string{
			"NOT.sparse.numblocks": "1", "NOT.sparse.map": "1048575,1", "NOT.sparse.size": "1048576",
		}}, "1", "sparse files are not supported"},
		"more directories than files there may be": {tar.Header{Name: "a/b/c/d/file"}, "", "more than"},
		"a path that is longer than any":           {tar.Header{Name: strings.Repeat("a/", 2050) + "file"}, "", "is too long"},
		"four files and directories":               {tar.Header{Name: "a/b/c/file"}, "content", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := ofLayer(t, tc.header, tc.content)
			if tc.want == "" && err != nil {
				t.Fatal(err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
		})
	}
}

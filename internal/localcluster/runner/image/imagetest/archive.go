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

// Package imagetest makes OCI archives for tests.
package imagetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"switchyard.dev/switchyard/internal/localcluster/runner/image"
)

// File is an entry of a layer. A Type of 0 is a file, or a directory if the name
// ends in a slash.
type File struct {
	Name, Content, Link string
	Type                byte
	Mode                int64
}

// Archive is an image to be written.
type Archive struct {
	Name   string
	Arch   string // this machine's if it is empty
	Config image.Config
	Layers [][]File
	// Change may alter the members of the archive before they are written.
	Change func(members map[string][]byte)
}

// Write writes the archive to path.
func (a Archive) Write(tb testing.TB, path string) {
	tb.Helper()
	if a.Arch == "" {
		a.Arch = runtime.GOARCH
	}
	members := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	blob := func(mediaType string, content []byte) map[string]any {
		sum := sha256.Sum256(content)
		digest := hex.EncodeToString(sum[:])
		members["blobs/sha256/"+digest] = content
		return map[string]any{"mediaType": mediaType, "digest": "sha256:" + digest, "size": len(content)}
	}
	encoded := func(mediaType string, value any) map[string]any {
		content, err := json.Marshal(value)
		if err != nil {
			tb.Fatal(err)
		}
		return blob(mediaType, content)
	}
	var layers []any
	for _, files := range a.Layers {
		layers = append(layers, blob("application/vnd.oci.image.layer.v1.tar+gzip", layer(tb, files)))
	}
	config := encoded("application/vnd.oci.image.config.v1+json", map[string]any{"os": "linux", "architecture": a.Arch, "config": a.Config})
	manifest := encoded("application/vnd.oci.image.manifest.v1+json", map[string]any{"config": config, "layers": layers})
	manifest["platform"] = map[string]string{"os": "linux", "architecture": a.Arch}
	index := encoded("application/vnd.oci.image.index.v1+json", map[string]any{"manifests": []any{manifest}})
	index["annotations"] = map[string]string{"io.containerd.image.name": a.Name}
	top, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{index}})
	if err != nil {
		tb.Fatal(err)
	}
	members["index.json"] = top
	if a.Change != nil {
		a.Change(members)
	}
	var names []string
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	var files []File
	for _, name := range names {
		files = append(files, File{Name: name, Content: string(members[name])})
	}
	if err := os.WriteFile(path, pack(tb, files), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func layer(tb testing.TB, files []File) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed) // layers may hold whole programs
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(pack(tb, files)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func pack(tb testing.TB, files []File) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		header := &tar.Header{Name: f.Name, Linkname: f.Link, Typeflag: f.Type, Mode: f.Mode, Size: int64(len(f.Content))}
		if header.Mode == 0 {
			header.Mode = 0o644
		}
		if header.Typeflag == 0 {
			header.Typeflag = tar.TypeReg
			if strings.HasSuffix(f.Name, "/") {
				header.Typeflag = tar.TypeDir
				header.Mode = max(header.Mode, 0o755)
			}
		}
		if err := w.WriteHeader(header); err != nil {
			tb.Fatal(fmt.Errorf("%s: %w", f.Name, err))
		}
		if _, err := w.Write([]byte(f.Content)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

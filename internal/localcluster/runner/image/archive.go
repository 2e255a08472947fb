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
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// maxDocument bounds what is read as JSON.
const maxDocument = 4 << 20

// archive is an open OCI archive and where its members are in it.
type archive struct {
	file    *os.File
	members map[string]*io.SectionReader
}

// descriptor names a blob (image-spec, descriptor.md).
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    *struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

// openArchive finds the members without reading them.
func openArchive(name string) (_ *archive, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, errors.Unwrap(err) // the caller names it
	}
	a := &archive{file: file, members: map[string]*io.SectionReader{}}
	defer func() {
		if err != nil {
			_ = file.Close()
		}
	}()
	r := tar.NewReader(file)
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it is no tar file: %w", err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		at, err := file.Seek(0, io.SeekCurrent) // the reader reads no further than it needs
		if err != nil {
			return nil, err
		}
		a.members[path.Clean(header.Name)] = io.NewSectionReader(file, at, header.Size)
	}
	if a.members["index.json"] == nil || a.members["oci-layout"] == nil {
		return nil, errors.New("it is no OCI archive, as it has no oci-layout and index.json: make one with `make image`")
	}
	return a, nil
}

func (a *archive) Close() error { return a.file.Close() }

// blob opens a blob of the archive; who reads it to its end has compared it
// with its digest.
func (a *archive) blob(d descriptor) (io.Reader, error) {
	sum, ok := strings.CutPrefix(d.Digest, "sha256:")
	if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != sha256.Size {
		return nil, fmt.Errorf("digest %q is not supported", d.Digest)
	}
	member := a.members["blobs/sha256/"+sum]
	if member == nil {
		return nil, fmt.Errorf("blob %s is missing", d.Digest)
	}
	if member.Size() != d.Size {
		return nil, fmt.Errorf("blob %s has %d bytes, want %d", d.Digest, member.Size(), d.Size)
	}
	return &verifier{from: io.NewSectionReader(member, 0, member.Size()), hash: sha256.New(), want: d.Digest}, nil
}

// document reads a blob, or a file of the layout, as JSON.
func (a *archive) document(d descriptor, into any) error {
	if d.Size > maxDocument {
		return fmt.Errorf("blob %s has %d bytes, which is too large for what it is", d.Digest, d.Size)
	}
	r, err := a.blob(d)
	if err != nil {
		return err
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return decode(content, d.Digest, into)
}

func (a *archive) index() (index, error) {
	member := a.members["index.json"]
	if member.Size() > maxDocument {
		return index{}, errors.New("index.json is too large")
	}
	content, err := io.ReadAll(io.NewSectionReader(member, 0, member.Size()))
	if err != nil {
		return index{}, err
	}
	var i index
	return i, decode(content, "index.json", &i)
}

func decode(content []byte, what string, into any) error {
	if err := json.NewDecoder(bytes.NewReader(content)).Decode(into); err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return nil
}

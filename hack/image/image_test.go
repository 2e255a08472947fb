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

package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// build builds the program of testdata for a platform.
func build(t *testing.T, directory, system, arch string, flags ...string) {
	t.Helper()
	to := filepath.Join(directory, system+"_"+arch, "program")
	c := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-buildvcs=false", "-o", to}, flags...), "./testdata/program")...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// unpack unpacks an archive into a directory and returns the image's index.
func unpack(t *testing.T, archive string) v1.ImageIndex {
	t.Helper()
	directory := t.TempDir()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for name, content := range entries(t, file) {
		path := filepath.Join(directory, name)
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content.bytes, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	top, err := layout.ImageIndexFromPath(directory)
	if err != nil {
		t.Fatal(err)
	}
	m, err := top.IndexManifest()
	if err != nil || len(m.Manifests) != 1 {
		t.Fatalf("%v, %+v", err, m)
	}
	if got := m.Manifests[0].Annotations["io.containerd.image.name"]; got != "registry.example/switchyard:v1" {
		t.Errorf("the name is %q", got)
	}
	index, err := top.ImageIndex(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

type entry struct {
	header *tar.Header
	bytes  []byte
}

func entries(t *testing.T, r io.Reader) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	for files := tar.NewReader(r); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := all[header.Name]; twice {
			t.Errorf("%s is there twice", header.Name)
		}
		all[header.Name] = entry{header, content}
	}
}

func TestTheArchive(t *testing.T) {
	var archives [][]byte
	var bills [][]byte
	var index v1.ImageIndex
	for range 2 {
		directory := t.TempDir()
		for _, arch := range []string{"amd64", "arm64"} {
			build(t, filepath.Join(directory, "programs"), "linux", arch, "-trimpath")
		}
		archive := filepath.Join(directory, "dist", "image.tar")
		if err := run(t.Context(), options{
			binaries: filepath.Join(directory, "programs"), output: archive, name: "registry.example/switchyard:v1",
			version: "v1", revision: "abc", created: time.Unix(1_800_000_000, 0),
		}); err != nil {
			t.Fatal(err)
		}
		index = unpack(t, archive)
		archives, bills = append(archives, read(t, archive)), append(bills, read(t, filepath.Join(directory, "dist", "image-arm64.cdx.json")))
	}
	if !bytes.Equal(archives[0], archives[1]) || !bytes.Equal(bills[0], bills[1]) {
		t.Error("two runs over the same sources differ")
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for _, m := range manifest.Manifests {
		if m.Platform.OS != "linux" || machines[m.Platform.Architecture] == 0 {
			t.Errorf("platform %v", m.Platform)
		}
		image, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkImage(t, image, machines[m.Platform.Architecture])
		delete(machines, m.Platform.Architecture)
	}
	if len(machines) > 0 {
		t.Errorf("nothing for %v", machines)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func checkImage(t *testing.T, image v1.Image, machine elf.Machine) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || config.Config.Labels["org.opencontainers.image.version"] != "v1" || config.Created.Unix() != 1_800_000_000 {
		t.Errorf("config %+v", config)
	}
	root := entries(t, mutate.Extract(image))
	program, err := elf.NewFile(bytes.NewReader(root["program"].bytes))
	if err != nil {
		t.Fatal(err)
	}
	if program.Machine != machine || root["program"].header.Mode != 0o755 {
		t.Errorf("the program is for %v, mode %o", program.Machine, root["program"].header.Mode)
	}
	if libraries, err := program.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("the program wants %v, %v", libraries, err)
	}
	if !strings.Contains(string(root["etc/passwd"].bytes), "nonroot:x:65532:65532:") {
		t.Errorf("/etc/passwd is %q", root["etc/passwd"].bytes)
	}
	if pool := x509.NewCertPool(); !pool.AppendCertsFromPEM(root["etc/ssl/certs/ca-certificates.crt"].bytes) {
		t.Error("no authorities")
	}
	if len(root) != 8 {
		t.Errorf("%d files, want the program, /tmp, and 6 below /etc", len(root))
	}
}

func TestTheBill(t *testing.T) {
	directory := t.TempDir()
	build(t, directory, "linux", "amd64", "-trimpath")
	platforms, err := findPlatforms(directory, false)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(directory, "bill")
	if err := writeBill(platforms[0], options{version: "v1"}, path); err != nil {
		t.Fatal(err)
	}
	var bom cyclonedx.BOM
	if err := json.Unmarshal(read(t, path), &bom); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, c := range *bom.Components {
		found[c.Name] = c.Version
	}
	if want := strings.TrimPrefix(platforms[0].programs[0].info.GoVersion, "go"); found["stdlib"] != want || found["program"] != "v1" {
		t.Errorf("components are %v, want Go %s and the program", found, want)
	}
}

func TestAnImageIsPushed(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	directory := t.TempDir()
	build(t, directory, "linux", "amd64", "-trimpath")
	address := strings.TrimPrefix(server.URL, "http://")
	o := made(t, strings.ReplaceAll(command(t, "../../docs/install.md", "make image-push"), "registry.example.com", address))
	to := address + "/switchyard:v1"
	if o.push != to {
		t.Fatalf("it pushes to %q, want %q", o.push, to)
	}
	o.binaries, o.output = directory, filepath.Join(directory, "image.tar")
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(to)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(ref, remote.WithContext(t.Context()), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"}))
	if err != nil {
		t.Fatal(err)
	}
	if root := entries(t, mutate.Extract(image)); root["program"].header == nil {
		t.Error("the program is not in what was pushed")
	}
}

func TestProgramsThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		make func(directory string)
		want string
	}{
		"another architecture": {func(directory string) {
			build(t, directory, "linux", "arm64", "-trimpath")
			if err := os.Rename(filepath.Join(directory, "linux_arm64"), filepath.Join(directory, "linux_amd64")); err != nil {
				t.Fatal(err)
			}
		}, `was built with GOARCH="arm64", want "amd64"`},
		"paths of the machine in it": {func(directory string) { build(t, directory, "linux", "amd64") }, `was built with -trimpath="", want "true"`},
		"not a program": {func(directory string) {
			_ = os.MkdirAll(filepath.Join(directory, "linux_amd64"), 0o755)
			_ = os.WriteFile(filepath.Join(directory, "linux_amd64", "x"), []byte("#!/bin/sh"), 0o600)
		}, "x is no Go program"},
		"none":          {func(string) {}, "no directory GOOS_GOARCH"},
		"no platform":   {func(directory string) { _ = os.MkdirAll(filepath.Join(directory, "amd64"), 0o755) }, "is no directory GOOS_GOARCH"},
		"nothing built": {func(directory string) { _ = os.MkdirAll(filepath.Join(directory, "linux_amd64"), 0o755) }, "no programs in"},
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			c.make(directory)
			if _, err := findPlatforms(directory, false); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestProgramsOfThisMachine(t *testing.T) {
	directory := t.TempDir()
	build(t, directory, "linux", "amd64")
	if platforms, err := findPlatforms(directory, true); err != nil || len(platforms) != 1 {
		t.Errorf("found %v, %v", platforms, err)
	}
}

func TestFlags(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "12")
	o, err := parse([]string{"-binaries=b", "-output=o"})
	if err != nil || o.created.Unix() != 12 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{}, {"-binaries=b"}, {"-binaries=b", "-output=o", "x"}, {"-binaries=b", "-push=r", "-local"}, {"-created=never"}, {"-created=-1"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v are taken", args)
		}
	}
}

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
	"bytes"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	containers "github.com/google/go-containerregistry/pkg/registry"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/registry"
)

const chart = "../../../dist/chart/switchyard"

func pack(t *testing.T, from string, more ...string) string {
	t.Helper()
	directory := t.TempDir()
	o, err := parse(append([]string{"-chart", from, "-output", directory, "-created", "1700000000"}, more...))
	if err != nil {
		t.Fatal(err)
	}
	if err := run(o); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(directory, "switchyard-*.tgz"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the archives are %v: %v", found, err)
	}
	return found[0]
}

// copied is the chart in another directory, as if written at another time.
func copied(t *testing.T, written time.Time) string {
	t.Helper()
	directory := filepath.Join(t.TempDir(), "switchyard")
	if err := os.CopyFS(directory, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(directory, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, written, written)
	})
	if err != nil {
		t.Fatal(err)
	}
	return directory
}

func TestArchiveIsTheChartAndAlwaysTheSame(t *testing.T) {
	var archives [2][]byte
	for n := range archives {
		path := pack(t, copied(t, time.Unix(1600000000+int64(n), 0)))
		packed, err := loader.LoadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := loader.LoadDir(chart)
		if err != nil {
			t.Fatal(err)
		}
		if len(packed.Templates) != len(want.Templates) || len(packed.Templates) == 0 || packed.Metadata.Version != want.Metadata.Version {
			t.Errorf("the archive has %d templates of version %s, the chart %d of %s",
				len(packed.Templates), packed.Metadata.Version, len(want.Templates), want.Metadata.Version)
		}
		if archives[n], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of one chart differ")
	}
}

func TestPushedIsWhatIsPulled(t *testing.T) {
	t.Setenv("HELM_REGISTRY_CONFIG", filepath.Join(t.TempDir(), "config.json"))
	server := httptest.NewServer(containers.New())
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	archive := pack(t, chart, "-plain-http", "-push", "oci://"+host+"/charts")
	client, err := registry.NewClient(registry.ClientOptPlainHTTP())
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(archive), "switchyard-"), ".tgz")
	pulled, err := client.Pull(host + "/charts/switchyard:" + version)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pulled.Chart.Data, want) {
		t.Error("what is pulled is not what was pushed")
	}
}

func TestWhatToWriteIsSaid(t *testing.T) {
	for want, args := range map[string][]string{
		"write it as oci://": {"-chart", chart, "-output", "x", "-push", "registry.example.com/charts"},
		"is missing":         {"-chart", chart},
		"give flags only":    {"chart"},
	} {
		if _, err := parse(args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: the error is %v, and is to say %q", args, err, want)
		}
	}
}

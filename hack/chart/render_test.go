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
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	release "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// generated is the chart that the present config/ gives, in a directory of its own.
var generated = sync.OnceValues(func() (string, error) {
	directory := filepath.Join(scratch, "switchyard")
	o, err := parse([]string{"-output", directory})
	if err == nil {
		err = run(o)
	}
	return directory, err
})

var scratch string

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	var err error
	if scratch, err = os.MkdirTemp("", "chart-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := errors.Join(stop(), os.RemoveAll(scratch)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// load reads the generated chart, as Helm does.
func load(t *testing.T) *chartv2.Chart {
	t.Helper()
	directory, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	c, err := loader.LoadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A request is what `helm template` is told.
type request struct {
	values     string
	namespace  string
	kubernetes string
}

// template is `helm template`, and the notes that `helm install` prints.
func (r request) template(t *testing.T) (*release.Release, error) {
	t.Helper()
	if r.namespace == "" {
		r.namespace = namespace
	}
	if r.kubernetes == "" {
		r.kubernetes = "v1.37.0"
	}
	install := action.NewInstall(action.NewConfiguration())
	install.DryRunStrategy = action.DryRunClient
	install.ReleaseName, install.Namespace = "switchyard", r.namespace
	var err error
	if install.KubeVersion, err = common.ParseKubeVersion(r.kubernetes); err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if err := sigsyaml.Unmarshal([]byte(r.values), &values); err != nil {
		t.Fatal(err)
	}
	made, err := install.Run(load(t), values)
	if err != nil {
		return nil, err
	}
	return made.(*release.Release), nil
}

// manifests are what a request gives, by kind and name.
func (r request) manifests(t *testing.T) map[string]map[string]any {
	t.Helper()
	made, err := r.template(t)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, made.Manifest)
}

func decode(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	objects := map[string]map[string]any{}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096)
	for {
		o := map[string]any{}
		err := decoder.Decode(&o)
		if err == io.EOF {
			return objects
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if len(o) == 0 {
			continue
		}
		id := idOf(object{content: o})
		if objects[id] != nil {
			t.Fatalf("there are two of %s", id)
		}
		objects[id] = o
	}
}

// refused tells what a request fails with.
func (r request) refused(t *testing.T, want string) {
	t.Helper()
	_, err := r.template(t)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, and is to say %q", err, want)
	}
}

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
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	helm "helm.sh/helm/v4/pkg/cmd"
	"helm.sh/helm/v4/pkg/strvals"
)

// blocks are the commands of a page.
var blocks = regexp.MustCompile("(?s)```bash\n(.*?)```")

// The commands of pages are Helm's, and what they let one set is what the chart takes.
func TestCommandsOfThePagesWork(t *testing.T) {
	number := 0
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../../README.md", "static/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks.FindAllStringSubmatch(string(text), -1) {
			for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", " ")) {
				words := strings.Fields(line)
				if len(words) == 0 || words[0] != "helm" {
					continue
				}
				number++
				if err := typed(t, words[1:]); err != nil {
					t.Errorf("%s: %s: %v", page, line, err)
				}
			}
		}
	}
	if number < 8 {
		t.Errorf("only %d commands were found", number)
	}
}

// typed says what is wrong with the arguments of Helm's own program, or with the
// values that they give to the chart.
func typed(t *testing.T, words []string) error {
	t.Helper()
	root, err := helm.NewRootCmd(io.Discard, words, func(bool) {})
	if err != nil {
		return err
	}
	c, arguments, err := root.Find(words)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(arguments); err != nil {
		return err
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil || !slices.Contains([]string{"install", "upgrade"}, c.Name()) {
		return err
	}
	settings, err := c.Flags().GetStringArray("set")
	if err != nil {
		return err
	}
	values := map[string]any{}
	for _, setting := range settings {
		if err := strvals.ParseInto(setting, values); err != nil {
			return err
		}
	}
	r := request{values: written(t, values), namespace: "default"}
	if c.Flags().Changed("namespace") {
		if r.namespace, err = c.Flags().GetString("namespace"); err != nil {
			return err
		}
	}
	_, err = r.template(t)
	return err
}

// The pages name the Helm whose library renders the chart here, and no older one,
// which does not know their flags.
func TestPagesNameTheHelmOfTheTests(t *testing.T) {
	for _, page := range []string{"../../docs/helm.md", "../../docs/install.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile("(?i)helm`? ([0-9][0-9.]*[0-9]|[0-9])").FindAllStringSubmatch(string(text), -1)
		if len(named) == 0 {
			t.Errorf("%s names no version", page)
		}
		for _, n := range named {
			if n[1] != "4" {
				t.Errorf("%s says %s, and the tests are run with Helm 4", page, n[0])
			}
		}
	}
}

// Values that the page speaks of are values of the chart.
func TestValuesOfThePageAreThere(t *testing.T) {
	text, err := os.ReadFile("../../docs/helm.md")
	if err != nil {
		t.Fatal(err)
	}
	there := paths(load(t).Values, load(t).Schema, t)
	mentioned := regexp.MustCompile("`((?:apiServer|certManager|crds|dns|grafana|image|manager|namespace|networkPolicy|node|prometheus)\\.[A-Za-z.]+)(?:=[a-z0-9]+)?`")
	found := mentioned.FindAllStringSubmatch(string(text), -1)
	if len(found) < 10 {
		t.Errorf("only %d were found", len(found))
	}
	for _, m := range found {
		if !there[m[1]] && m[1] != "dns.md" {
			t.Errorf("there is no value %s", m[1])
		}
	}
}

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

package observability

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

const runbooks = "../../docs/runbooks"

// alerts are the rules of config/prometheus/rules.yaml.
func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	text, err := os.ReadFile("../../config/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, text)
}

func parse(t *testing.T, text []byte) []rulefmt.Rule {
	t.Helper()
	var object struct{ Spec yaml.Node }
	if err := yaml.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	spec, err := yaml.Marshal(&object.Spec)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(spec, false, model.LegacyValidation, parser.NewParser(parser.Options{}), slog.Default())
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	var all []rulefmt.Rule
	for _, group := range groups.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

func TestAlertsAskForWhatIsServed(t *testing.T) {
	known := served(t)
	for _, rule := range alerts(t) {
		if err := check(rule.Expr, known); err != nil {
			t.Errorf("%s: %v", rule.Alert, err)
		}
	}
}

func TestAlertsSayHowBadItIsAndWhatToDo(t *testing.T) {
	var names []string
	for _, rule := range alerts(t) {
		names = append(names, rule.Alert)
		if !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) {
			t.Errorf("%s has the severity %q", rule.Alert, rule.Labels["severity"])
		}
		if want := "docs/runbooks/" + rule.Alert + ".md"; rule.Annotations["runbook"] != want {
			t.Errorf("%s has the runbook %q, want %s", rule.Alert, rule.Annotations["runbook"], want)
		}
		for _, annotation := range []string{"summary", "description"} {
			if text := rule.Annotations[annotation]; !strings.HasSuffix(text, ".") {
				t.Errorf("%s has the %s %q, want a sentence", rule.Alert, annotation, text)
			}
		}
	}
	var pages []string
	files, err := filepath.Glob(runbooks + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".md"); name != "README" {
			pages = append(pages, name)
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, pages) {
		t.Errorf("alerts and runbooks differ:\n%v\n%v", names, pages)
	}
}

// The page's own command, from the repository's root, where the pages lie.
func TestRunbooksBecomeLinks(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^sed .*config/prometheus/rules\.yaml$`).Find(page)
	if line == nil {
		t.Fatal("the page has no command")
	}
	command := exec.CommandContext(t.Context(), "sh", "-c", string(line))
	command.Dir = "../.."
	text, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range parse(t, text) {
		link := rule.Annotations["runbook_url"]
		path, linked := strings.CutPrefix(link, "https://git.example.com/switchyard/")
		if _, err := os.Stat(filepath.Join(command.Dir, path)); !linked || err != nil || rule.Annotations["runbook"] != "" {
			t.Errorf("%s has the link %q and the path %q: %v", rule.Alert, link, rule.Annotations["runbook"], err)
		}
	}
}

// sections are those of each runbook.
var sections = []string{"Meaning", "Impact", "Diagnosis", "Mitigation"}

func TestRunbooksAreWhole(t *testing.T) {
	list, err := os.ReadFile(runbooks + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile(`(?m)^## (.+)$`)
	for _, rule := range alerts(t) {
		text, err := os.ReadFile(filepath.Join(runbooks, rule.Alert+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		var found []string
		for _, match := range heading.FindAllStringSubmatch(string(text), -1) {
			found = append(found, match[1])
		}
		if !strings.HasPrefix(string(text), "# "+rule.Alert+"\n") || !slices.Equal(found, sections) {
			t.Errorf("the page of %s has the sections %v, want %v", rule.Alert, found, sections)
		}
		if !strings.Contains(string(list), "]("+rule.Alert+".md)") {
			t.Errorf("the list of runbooks has no link to that of %s", rule.Alert)
		}
	}
}

// Whole Secrets have keys in them, and FRR's configuration the passwords of sessions:
// what a page has people type may end in a chat or a ticket.
var secrets = regexp.MustCompile(`(?i)secrets?\b[^\x60|]*(-o|--output)[ =]?(yaml|json\b)|(tls|ca)\\?\.key|running-config"?\x60`)

func TestRunbooksPrintNoSecrets(t *testing.T) {
	shown := map[string]bool{
		"`kubectl get secret a -o yaml`":                         true,
		"`kubectl get secrets/a --output=json`":                  true,
		"`kubectl get secret a -o jsonpath='{.data.tls\\.key}'`": true,
		"`vtysh -c \"show running-config\"`":                     true,
		"`kubectl describe secret a`":                            false,
		"`kubectl get secret a -o jsonpath='{.data.tls\\.crt}'`": false,
		"`vtysh -c \"show running-config\" | grep network`":      false,
	}
	for command, want := range shown {
		if secrets.MatchString(command) != want {
			t.Errorf("%s shows secrets: %v, want %v", command, !want, want)
		}
	}
	files, err := filepath.Glob(runbooks + "/*.md")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d pages: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := secrets.Find(text); found != nil {
			t.Errorf("%s has people print secrets: %s", file, found)
		}
	}
}

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

package webhooks

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestRuleTable(t *testing.T) {
	seen := map[string]bool{}
	for _, rule := range Table() {
		if seen[rule.ID] || seen[rule.Name] {
			t.Errorf("%s (%s) is in the table twice", rule.ID, rule.Name)
		}
		seen[rule.ID], seen[rule.Name] = true, true
		if _, err := ParseSeverity(string(rule.Default)); err != nil || rule.Summary == "" {
			t.Errorf("%s has default %q and summary %q", rule.ID, rule.Default, rule.Summary)
		}
	}
	judged := map[string]bool{RuleRangeOverlap.ID: true}
	for _, rule := range serviceRules() {
		judged[rule.ID] = true
	}
	for _, rule := range backendRules() {
		judged[rule.ID] = true
	}
	if len(judged) != len(Table()) {
		t.Errorf("the table has %d rules, %d are judged", len(Table()), len(judged))
	}
}

func TestSeveritiesAreSetByIDOrName(t *testing.T) {
	for text, want := range map[string]Severities{
		"X12=off":               {"X12": Off},
		"x1=warn":               {"X1": Warn},
		"selector-in-use=deny":  {"X12": Deny},
		"X12":                   nil,
		"X12=maybe":             nil,
		"X99=off":               nil,
		"selector-in-use==deny": nil,
	} {
		got := Severities{}
		err := got.SetText(text)
		if (err != nil) != (want == nil) {
			t.Errorf("%s: error %v", text, err)
		}
		if diff := cmp.Diff(want, got); want != nil && diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestUnquotedOffInYAMLIsOff(t *testing.T) {
	var got map[string]Severity
	if err := yaml.Unmarshal([]byte("X12: off\nX1: warn\nX2: \"off\"\n"), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]Severity{"X12": Off, "X1": Warn, "X2": Off}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"true", "1", `"on"`} {
		var s Severity
		if err := json.Unmarshal([]byte(bad), &s); err == nil {
			t.Errorf("%s was read as %q", bad, s)
		}
	}
}

func TestDefaultsHoldWhereNothingIsSet(t *testing.T) {
	var unset Severities
	if got := unset.Of(RuleSelectorInUse); got != Warn {
		t.Errorf("got %s, want warn", got)
	}
	if got := (Severities{"X12": Deny}).Of(RuleSelectorInUse); got != Deny {
		t.Errorf("got %s, want deny", got)
	}
}

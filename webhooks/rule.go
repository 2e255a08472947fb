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
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Severity is what a broken rule leads to.
type Severity string

// The three severities a rule can have.
const (
	// Deny refuses the change.
	Deny Severity = "deny"
	// Warn lets it pass and tells the client why it should not have.
	Warn Severity = "warn"
	// Off does not judge the rule at all.
	Off Severity = "off"
)

// ParseSeverity reads deny, warn or off.
func ParseSeverity(s string) (Severity, error) {
	switch severity := Severity(s); severity {
	case Deny, Warn, Off:
		return severity, nil
	}
	return "", fmt.Errorf("%q is no severity: use deny, warn or off", s)
}

// UnmarshalJSON also reads false as off, because YAML 1.1 does: a file that
// says `X12: off` without quotes arrives here as false, or as "false".
func (s *Severity) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	if text == "false" {
		text = string(Off)
	}
	parsed, err := ParseSeverity(text)
	*s = parsed
	return err
}

// Rule is one line of the rule table.
type Rule struct {
	// ID is the short, lasting identity, for example X1.
	ID string
	// Name says it in words, and may be used wherever the ID may.
	Name string
	// Summary is one line of help.
	Summary string
	// Default is the severity unless configured otherwise.
	Default Severity
}

// Severities says how severe each rule is; its zero value means the defaults
// of the table. The keys are IDs.
type Severities map[string]Severity

// Of is the severity in force for a rule.
func (s Severities) Of(rule Rule) Severity {
	if severity, ok := s[rule.ID]; ok {
		return severity
	}
	return rule.Default
}

// Set changes the rule named by its ID or name.
func (s Severities) Set(idOrName string, severity Severity) error {
	rule, err := ruleCalled(idOrName)
	if err == nil {
		s[rule.ID] = severity
	}
	return err
}

func ruleCalled(idOrName string) (Rule, error) {
	for _, rule := range Table() {
		if strings.EqualFold(rule.ID, idOrName) || rule.Name == idOrName {
			return rule, nil
		}
	}
	return Rule{}, fmt.Errorf("no rule is called %q: the rules are %s", idOrName, ruleNames())
}

// SetAll applies several settings in the order of their keys, so that the same
// file always complains about the same line. A rule that is named twice is an
// error: one of the two would go unheard.
func (s Severities) SetAll(settings map[string]Severity) error {
	named := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		rule, err := ruleCalled(key)
		if err != nil {
			return err
		}
		if other, twice := named[rule.ID]; twice {
			return fmt.Errorf("%s and %s are one rule: name it once", other, key)
		}
		named[rule.ID], s[rule.ID] = key, settings[key]
	}
	return nil
}

// SetText reads one assignment as it is given on a command line: X12=off.
func (s Severities) SetText(assignment string) error {
	key, value, found := strings.Cut(assignment, "=")
	if !found {
		return fmt.Errorf("%q is no rule setting: write it as X12=off", assignment)
	}
	severity, err := ParseSeverity(value)
	if err != nil {
		return fmt.Errorf("rule %s: %w", key, err)
	}
	return s.Set(key, severity)
}

func ruleNames() string {
	var names []string
	for _, rule := range Table() {
		names = append(names, rule.ID+" ("+rule.Name+")")
	}
	return strings.Join(names, ", ")
}

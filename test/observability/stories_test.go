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
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"go.yaml.in/yaml/v3"
)

// A scene is what is collected every minute, in the notation of promtool's tests, and
// how long the rules look at it.
type scene struct {
	After  model.Duration
	Series map[string]string
}

// A story is what makes an alert fire, and what does not.
type story struct {
	Fires, Quiet scene
	// Says are in the texts of the alerts that fire, each in one.
	Says []string
}

func stories(t *testing.T) map[string]story {
	t.Helper()
	text, err := os.Open("testdata/stories.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = text.Close() }()
	var all map[string]story
	decoder := yaml.NewDecoder(text)
	decoder.KnownFields(true)
	if err := decoder.Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAlertsFireWhenTheyShouldAndNotOtherwise(t *testing.T) {
	all := stories(t)
	for _, rule := range alerts(t) {
		story, told := all[rule.Alert]
		if !told {
			t.Errorf("%s has no story", rule.Alert)
			continue
		}
		delete(all, rule.Alert)
		t.Run(rule.Alert, func(t *testing.T) {
			said := play(t, rule, story.Fires)
			if len(said) != len(story.Says) {
				t.Errorf("%d alerts fire: %q, want %d", len(said), said, len(story.Says))
			}
			for _, want := range story.Says {
				if !slices.ContainsFunc(said, func(text string) bool { return strings.Contains(text, want) }) {
					t.Errorf("none of %q says %q", said, want)
				}
			}
			if said := play(t, rule, story.Quiet); len(said) > 0 {
				t.Errorf("it fires when it should not: %q", said)
			}
			others, want := story.Fires.elsewhere(), 0
			if strings.HasPrefix(rule.Expr, "absent(") {
				others, want = story.Quiet.elsewhere(), 1
			}
			if len(others.Series) == 0 {
				return // All of it is by our name.
			}
			if said := play(t, rule, others); len(said) != want {
				t.Errorf("of the series of other programs it says %q, want %d alerts", said, want)
			}
		})
	}
	for name := range all {
		t.Errorf("the story of %s is of no alert", name)
	}
}

// elsewhere is the part of a scene that other programs can show as well: kube-proxy,
// kube-controller-manager, operators, somebody's CoreDNS.
func (s scene) elsewhere() scene {
	job := regexp.MustCompile(`\bjob="[^"]*"`)
	others := scene{After: s.After, Series: map[string]string{}}
	for series, values := range s.Series {
		if job.MatchString(series) {
			others.Series[job.ReplaceAllString(series, `job="another"`)] = values
		}
	}
	return others
}

// play is what the alerts of a rule say that fire at the end of the scene.
func play(t *testing.T, rule rulefmt.Rule, s scene) []string {
	t.Helper()
	if len(s.Series) == 0 || s.After == 0 {
		t.Fatal("the scene is empty")
	}
	load := "load 1m\n"
	for series, values := range s.Series {
		load += fmt.Sprintf("  %s %s\n", series, values)
	}
	storage := promqltest.LoadedStorage(t, load)
	defer func() { _ = storage.Close() }()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Expr)
	if err != nil {
		t.Fatal(err)
	}
	alerting := rules.NewAlertingRule(rule.Alert, expr, time.Duration(rule.For), time.Duration(rule.KeepFiringFor),
		labels.FromMap(rule.Labels), labels.FromMap(rule.Annotations), labels.EmptyLabels(), "", true, nil)
	query := rules.EngineQueryFunc(promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery), storage)
	for at := time.Duration(0); at <= time.Duration(s.After); at += time.Minute {
		if _, err := alerting.Eval(t.Context(), 0, time.Unix(0, 0).Add(at), query, &url.URL{}, 0); err != nil {
			t.Fatal(err)
		}
	}
	var said []string
	for _, alert := range alerting.ActiveAlerts() {
		if alert.State != rules.StateFiring {
			continue
		}
		text := alert.Annotations.Get("summary") + " " + alert.Annotations.Get("description")
		if strings.Contains(text, "error expanding") || strings.Contains(text, "no value") {
			t.Errorf("the text can not be filled in: %s", text)
		}
		said = append(said, text)
	}
	slices.Sort(said)
	return said
}

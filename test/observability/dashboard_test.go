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
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// board is what the tests look at of a Grafana dashboard.
type board struct {
	UID, Title string
	Templating struct{ List []variable }
	Panels     []panel
}

type variable struct {
	Name, Type string
	Query      json.RawMessage
}

type panel struct {
	ID          int
	Type, Title string
	Description string
	GridPos     struct{ H, W, X, Y int }
	Targets     []struct {
		RefID, Expr, LegendFormat string
		Datasource                source
	}
	Datasource source
	Options    json.RawMessage
}

type source struct{ Type, UID string }

func dashboard(t *testing.T) board {
	t.Helper()
	text, err := os.ReadFile("../../config/grafana/switchyard.json")
	if err != nil {
		t.Fatal(err)
	}
	var b board
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	var tidy bytes.Buffer
	if err := json.Indent(&tidy, bytes.TrimSpace(text), "", "  "); err != nil || tidy.String()+"\n" != string(text) {
		t.Errorf("the file is not indented by two spaces: %v", err)
	}
	if b.UID == "" || b.Title == "" || len(b.Panels) == 0 {
		t.Errorf("uid %q, title %q, %d panels", b.UID, b.Title, len(b.Panels))
	}
	return b
}

// rows are what a platform team looks for.
var rows = []string{
	"Overview", "Programming latency", "Syncs", "Dataplane repairs", "Allocation", "Webhook decisions", "Load balancers",
	"Endpoints and other controllers", "DNS", "Processes",
}

func TestPanelsHaveTheirPlaces(t *testing.T) {
	b := dashboard(t)
	var titles []string
	ids := map[int]string{}
	for i, p := range b.Panels {
		if other, twice := ids[p.ID]; twice || p.ID == 0 {
			t.Errorf("%q has the id %d of %q", p.Title, p.ID, other)
		}
		ids[p.ID] = p.Title
		if p.Type == "row" {
			titles = append(titles, p.Title)
		} else if p.Title == "" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d (%q) has no title, no description or nothing to show", p.ID, p.Title)
		}
		g := p.GridPos
		if g.H < 1 || g.W < 1 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
			t.Errorf("%q is at %+v, outside of the grid's 24 columns", p.Title, g)
		}
		for _, q := range b.Panels[:i] {
			o := q.GridPos
			if g.X < o.X+o.W && o.X < g.X+g.W && g.Y < o.Y+o.H && o.Y < g.Y+g.H {
				t.Errorf("%q lies upon %q", p.Title, q.Title)
			}
		}
	}
	if !slices.Equal(titles, rows) {
		t.Errorf("rows are %q, want %q", titles, rows)
	}
}

// Grafana fills these in.
var (
	interval = regexp.MustCompile(`\$__(rate_interval|interval|range)\b`)
	used     = regexp.MustCompile(`\$\{?([A-Za-z]\w*)`)
	legend   = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)
)

func TestPanelsAskForWhatIsServed(t *testing.T) {
	b := dashboard(t)
	known := served(t)
	variables := map[string]bool{}
	for _, v := range b.Templating.List {
		variables[v.Name] = true
	}
	for _, name := range []string{"datasource", "node", "pod"} {
		if !variables[name] {
			t.Errorf("there is no variable %s", name)
		}
	}
	for _, p := range b.Panels {
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] || target.RefID == "" {
				t.Errorf("%q has the target %q twice", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			expression := interval.ReplaceAllString(target.Expr, "5m")
			if err := check(expression, known); err != nil {
				t.Errorf("%q: %v", p.Title, err)
			}
			for _, match := range used.FindAllStringSubmatch(expression, -1) {
				if !variables[match[1]] {
					t.Errorf("%q asks for the variable %s, which there is not", p.Title, match[1])
				}
			}
			for _, match := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
				if strings.Contains(expression, " by (") && !regexp.MustCompile(`by \([^)]*\b`+match[1]+`\b`).MatchString(expression) {
					t.Errorf("%q: the legend has %s, which %s does not keep", p.Title, match[1], expression)
				}
			}
			if want := (source{"prometheus", "${datasource}"}); target.Datasource != want || p.Datasource != want {
				t.Errorf("%q asks %+v, want the data source that is chosen", p.Title, target.Datasource)
			}
		}
	}
}

// The variables' own questions are label_values(METRIC, LABEL).
func TestVariablesAskForWhatIsServed(t *testing.T) {
	question := regexp.MustCompile(`label_values\((.+), (\w+)\)`)
	known := served(t)
	asked := 0
	for _, v := range dashboard(t).Templating.List {
		if v.Type != "query" {
			continue
		}
		var query struct{ Query string }
		if err := json.Unmarshal(v.Query, &query); err != nil {
			t.Fatal(err)
		}
		match := question.FindStringSubmatch(query.Query)
		if match == nil {
			t.Errorf("variable %s asks %q", v.Name, query.Query)
			continue
		}
		asked++
		if err := check("count by ("+match[2]+") ("+match[1]+")", known); err != nil {
			t.Errorf("variable %s: %v", v.Name, err)
		}
	}
	if asked == 0 {
		t.Error("no variable asks anything")
	}
}

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

package series

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type sample struct {
	Name   string
	Labels map[string]string
	Value  float64
}

func read(page string, prefixes ...string) (all []sample, err error) {
	err = Read(strings.NewReader(page), prefixes, func(name string, labels map[string]string, value float64) {
		all = append(all, sample{name, labels, value})
	})
	return all, err
}

func TestReadGivesTheSeriesThatAreAskedFor(t *testing.T) {
	none := map[string]string{}
	for name, tc := range map[string]struct {
		page string
		want []sample
	}{
		"one without labels": {"# HELP a_total Text.\n# TYPE a_total counter\na_total 12\nb_total 3\n", []sample{{"a_total", none, 12}}},
		"labels":             {`a{x="1",y="2"} 1.5e+06`, []sample{{"a", map[string]string{"x": "1", "y": "2"}, 1.5e6}}},
		"none in braces":     {"a{} 1", []sample{{"a", none, 1}}},
		"a comma at the end": {`a{x="1",} 1`, []sample{{"a", map[string]string{"x": "1"}, 1}}},
		"blanks, and a time": {"a { x = \"1\" , y=\"2\" }\t7 1395066363000", []sample{{"a", map[string]string{"x": "1", "y": "2"}, 7}}},
		"what is escaped":    {`a{path="C:\\new",said="\"}\" = ,",lines="1\n2"} 1`, []sample{{"a", map[string]string{"path": `C:\new`, "said": `"}" = ,`, "lines": "1\n2"}, 1}}},
		"a space in a value": {`a{x="} 3"} 4`, []sample{{"a", map[string]string{"x": "} 3"}, 4}}},
		"nothing of others":  {"z{x=\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(tc.page, "a")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("series (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadRefusesWhatIsNoSeries(t *testing.T) {
	for _, line := range []string{"a", "a ", "a many", `a{x="1" 1`, `a{x="1`, `a{x=1} 1`, `a{x} 1`, "a{", `a{x="1\"} 1`} {
		if got, err := read("a 1\n"+line+"\na 2\n", "a"); err == nil || len(got) != 1 {
			t.Errorf("%q gave %v, %v", line, got, err)
		}
	}
	if _, err := read("a 1\na{x=\""+strings.Repeat("1", longestLine)+"\"} 1\n", "a"); err == nil {
		t.Error("a line without an end was read")
	}
}

// No page breaks it, and each label comes through as it was written.
func FuzzReadPage(f *testing.F) {
	f.Add("a{x=\"1\"} 1\n", "v\\\"\n")
	f.Add("a{", "} 1")
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	f.Fuzz(func(t *testing.T, page, value string) {
		_, _ = read(page, "")
		if strings.HasSuffix(value, "\r") || len(value) > longestLine/4 {
			return
		}
		got, err := read(`a{x="`+escape.Replace(value)+`"} 1`, "a")
		if err != nil || len(got) != 1 || got[0].Labels["x"] != value {
			t.Errorf("%q became %v, %v", value, got, err)
		}
	})
}

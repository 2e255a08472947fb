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

package bugreport

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamesOfTheObjectsOfADocument(t *testing.T) {
	for text, want := range map[string][]string{
		`{"name":"a"}`:             nil, // there is no value to tell of
		`{"name":"a","value":"b"}`: {"a"},
		` [ { "value" : 1 , "name" : "a" } , {"name":"b"} ]`:        {"a", "b"},
		`{"value":{"name":"inner"},"name":"outer"}`:                 {"outer", "inner"},
		`{"name":{"name":"inner"},"value":1}`:                       {"", "inner"},
		`{"name":["x",{"name":"inner"}],"value":1}`:                 {"", "inner"},
		`{"list":[{"a":1},"name"],"name":"late","value":1}`:         {"late", ""},
		`{"key":"PASSWORD","name":"a","value":1}`:                   {"PASSWORD"},
		`{"key":"x","name":"PASSWORD","value":1}`:                   {"PASSWORD"},
		`{"n\u0061me":"DB_PASS\u0057ORD","value":"x"}`:              {"DB_PASSWORD"},
		`{"name":"first","NAME":"second","value":1}`:                {"second"},
		`{"name":"first","name":7,"value":1}`:                       {""},
		`{"a":"\"name\":\"no\"","b":"}{][","name":"yes","value":1}`: {"yes"},
	} {
		if diff := cmp.Diff(want, namesIn(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestSecretsAreFoundAtAnyDepth(t *testing.T) {
	const depth = 9000 // encoding/json takes 10000
	text := strings.Repeat(`{"a":[`, depth/2) + `{"name":"DB_PASSWORD","value":"` + hunter + `"},{"name":"PORT","value":"80"}` + strings.Repeat(`]}`, depth/2)
	got := Redact(text)
	if strings.Contains(got, hunter) || !strings.Contains(got, `"value":"80"`) || !json.Valid([]byte(got)) || len(got) > len(text) {
		t.Errorf("of %d bytes the inmost are %s", len(got), got[3*depth:len(got)-depth])
	}
}

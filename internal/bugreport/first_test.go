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
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pieces make texts that nearly match, match, and match side by side.
var pieces = []string{
	"\n", " ", ".", "=", "==", "_", "-", "+", "/", "a", "Z", "é", "\xff", "abc123", "abcdef.0123456789abcdef", strings.Repeat("a1", 19), "0123456789abcdef",
	strings.Repeat("Q", 39), strings.Repeat("Z", 40), "MIIBszCC", `\n`, "2026-11-22T06:47:08.123456789Z ", "-----END RSA PRIVATE KEY-----", "-----END CERTIFICATE-----",
	"-----BEGIN PRIVATE KEY-----", "https://", "a:b@c", "@", "password", "name: token", "value: x", ":", "|", "\r\n", "  x", "- x", `"--token"`, "'-pw'", ` "v"`, ",",
	"https://a:b@c ", "name: token\n  value: x\n", "password: |\n  x\n", "tokens:\n- x\n", `"--token" "v" `, "\nMIIBszCC\n-----END RSA PRIVATE KEY-----", strings.Repeat("a1", 20) + " ", "\u212a", "ſ",
}

// What is told without the expressions is what they tell.
func TestRulesFindAllThatTheirExpressionsFind(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // The same texts each time.
	rules := append(append([]rule{}, wholeRules...), lineRules...)
	found := map[string]bool{}
	const texts = 4000
	for range texts {
		var text strings.Builder
		for range 1 + random.IntN(12) {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}
		for _, r := range rules {
			var pattern *regexp.Regexp
			switch p := r.pattern.(type) {
			case located:
				pattern = p.Regexp
			case guarded:
				pattern = p.Regexp
			default:
				continue
			}
			want := pattern.FindAllStringSubmatchIndex(text.String(), -1)
			found[pattern.String()] = found[pattern.String()] || len(want) > 0
			if diff := cmp.Diff(want, r.pattern.FindAllStringSubmatchIndex(text.String(), -1)); diff != "" {
				t.Fatalf("%s in %q (-want +got):\n%s", pattern, text.String(), diff)
			}
		}
	}
	for pattern, often := range found {
		if !often {
			t.Errorf("no text has a match of %s", pattern)
		}
	}
}

// Whatever a rule of lines or a name of a secret needs makes a line hot.
func TestWordsAreFoundInEitherCase(t *testing.T) {
	for _, word := range words {
		for _, text := range []string{word, strings.ToUpper(word), "a " + word, word + "\n", "é" + word, word[:1] + word, strings.ToUpper(word[:1]) + word[1:] + "é"} {
			if !hot(text) {
				t.Errorf("%q is not found in %q", word, text)
			}
		}
	}
	for text, want := range map[string]bool{"": false, "a": false, "é": false, "the port is 80": false, "pas": false, "to\u212aen": true, "ſecret": true, "p": false} {
		if hot(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	for _, name := range []string{"ſecret", "to\u212aen", "dbPw", "X-Any-Auth", "Set-Cookie", "a_psk", "license key"} {
		if secrecyOf(name) == plain {
			t.Errorf("%q is no name of a secret", name)
		}
	}
}

// A name beside a value counts however either is written, and only within its object.
func TestANameTellsOfTheValueBesideIt(t *testing.T) {
	for text, want := range map[string]string{
		`[{"a":{"b":"}"},"name":"DB_PASS","value":"x y"},{"value":"z"}]`:           `[{"a":{"b":"}"},"name":"DB_PASS","value":"[redacted]"},{"value":"z"}]`,
		`{"n\u0061me":"token","v\u0061lue":"x y","in":{"name":"a","value":"b c"}}`: `{"n\u0061me":"token","v\u0061lue":"[redacted]","in":{"name":"a","value":"b c"}}`,
		`{"n\u0061me":"token","v\u0061lue":"x y"}`:                                 `{"n\u0061me":"token","v\u0061lue":"[redacted]"}`,
		`{"a":[1],"name":"token","value":"x y"}`:                                   `{"a":[1],"name":"token","value":"[redacted]"}`,
		`[{"key":"api-key","value":"x y"},{"key":"zone","value":"z"}]`:             `[{"key":"api-key","value":"[redacted]"},{"key":"zone","value":"z"}]`,
		`{"name":"a\"}","value":"b"}`:                                              `{"name":"a\"}","value":"b"}`,
	} {
		if got := Redact(text); got != want {
			t.Errorf("%s became %s", text, got)
		}
	}
}

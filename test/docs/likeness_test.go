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

package docs

import (
	"strings"
	"testing"
)

func TestWhatCountsAsTheSame(t *testing.T) {
	for name, tc := range map[string]struct {
		likeness
		shown, printed string
		want           bool
	}{
		"the same":                        {shown: "a b", printed: "a b", want: true},
		"another word":                    {shown: "a b", printed: "a c"},
		"a line too much":                 {shown: "a", printed: "a\nb"},
		"a line too few":                  {shown: "a\nb", printed: "a"},
		"other blanks":                    {shown: "NAME  AGE", printed: " NAME      AGE ", want: true},
		"an age":                          {shown: "for 31s", printed: "for 1h2m", want: true},
		"no age":                          {shown: "for 31s", printed: "for ever"},
		"an address":                      {shown: "is 10.96.0.7:80", printed: "is 10.96.99.1:80", want: true},
		"an address, another port":        {shown: "is 10.96.0.7:80", printed: "is 10.96.99.1:81"},
		"one address, twice":              {shown: "10.0.0.1 10.0.0.1", printed: "10.0.0.9 10.0.0.9", want: true},
		"one address, two others":         {shown: "10.0.0.1\n10.0.0.1", printed: "10.0.0.9\n10.0.0.8"},
		"IPv6":                            {shown: "at fd00:10:96::a5b1.", printed: "at fd00:10:96::c.", want: true},
		"IPv6 and IPv4":                   {shown: "at fd00::1", printed: "at 10.0.0.1"},
		"a pod":                           {shown: "back-5f97bfc77f-rpxps", printed: "back-6d97bfc77d-9wr58", want: true},
		"a pod of another":                {shown: "back-5f97bfc77f-rpxps", printed: "web-5f97bfc77f-rpxps"},
		"a number":                        {shown: "30090 free", printed: "30091 free"},
		"a number, and they differ":       {likeness: likeness{numbers: true}, shown: "30090 free", printed: "7 free", want: true},
		"lines left out":                  {shown: "a\n...\nd", printed: "a\nb\nc\nd", want: true},
		"lines left out, the end differs": {shown: "a\n...\nd", printed: "a\nb\nc"},
		"an end left out":                 {shown: "free: 30000, ...", printed: "free: 30000, 30002-30005", want: true},
		"another order":                   {shown: "a\nb", printed: "b\na"},
		"another order, and any will do":  {likeness: likeness{anyOrder: true}, shown: "a\nb", printed: "b\na", want: true},
		"any order, and one too few":      {likeness: likeness{anyOrder: true}, shown: "a\na", printed: "a\nb"},
	} {
		_, err := tc.compare(strings.Split(tc.shown, "\n"), strings.Split(tc.printed, "\n"), meanings{})
		if got := err == nil; got != tc.want {
			t.Errorf("%s: %v, want %v (%v)", name, got, tc.want, err)
		}
	}
}

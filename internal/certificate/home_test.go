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

package certificate

import (
	"bytes"
	"slices"
	"testing"
)

// TestPlanOfANewInstallation: the configurations of the one before were left behind.
func TestPlanOfANewInstallation(t *testing.T) {
	for name, tc := range map[string]struct {
		before, after Home
		wait          bool
	}{
		"its namespace was made again":     {Home{"system", "first"}, Home{"system", "second"}, false},
		"it was in another namespace":      {Home{"system", "first"}, Home{"other", "second"}, false},
		"only the Secret is gone":          {Home{"system", "first"}, Home{"system", "first"}, true},
		"it was of a version before":       {Home{}, Home{"system", "second"}, true},
		"the namespace can not be told of": {Home{"system", "first"}, Home{"system", ""}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.known.Home = tc.before
			w.settle()
			left := w.known.Trusted[0]
			w.known.Home, w.known.Secret, w.known.Last = tc.after, nil, nil
			_, after := w.settle()
			if waits := after == w.Settle; waits != tc.wait || waits == (w.known.Secret[servingCert] != nil) {
				t.Errorf("the next step is due after %s", after)
			}
			if kept := bytes.Contains(w.known.Trusted[0], left); kept != tc.wait {
				t.Errorf("the authority before is trusted: %t", kept)
			}
		})
	}
}

func TestOthersAreNamed(t *testing.T) {
	here := Home{"system", "first"}
	for name, tc := range map[string]struct {
		made Home
		want []string
	}{
		"made here":               {here, nil},
		"made here before":        {Home{"system", "zeroth"}, nil},
		"made somewhere else":     {Home{"other", "second"}, []string{"other"}},
		"made by one that is old": {Home{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, err := newAuthority(start, longest, tc.made)
			if err != nil {
				t.Fatal(err)
			}
			if got := here.others(parseAuthorities(start, certPEM(a.cert.Raw))); !slices.Equal(got, tc.want) {
				t.Errorf("others are %q in place of %q", got, tc.want)
			}
		})
	}
}

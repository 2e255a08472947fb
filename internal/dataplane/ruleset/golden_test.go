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

package ruleset

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/dataplane/policy"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTheWholeRuleset(t *testing.T) {
	for _, family := range families {
		t.Run(family.String(), func(t *testing.T) {
			var p Planner
			p.Sync(testNode(family), everyKind(family), nil)
			got := p.Text(NewSchema(family, policy.Features{}))
			golden := filepath.Join("testdata", strings.ToLower(family.String())+".nft")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got (accept with -update):\n%s", diff)
			}
		})
	}
}

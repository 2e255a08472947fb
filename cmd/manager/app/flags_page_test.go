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

package app

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestThePageListsEveryFlag compares docs/operations.md with what the program takes.
func TestThePageListsEveryFlag(t *testing.T) {
	text, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Flags of the manager\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`-[^|]*) \\|").FindAllStringSubmatch(section, -1) {
		for i, m := range regexp.MustCompile("`(-+)([a-z0-9*-]+)`").FindAllStringSubmatch(row[1], -1) {
			name := m[2]
			if i > 0 && m[1] == "-" { // the last word of the one before is another
				before := listed[len(listed)-1]
				name = before[:strings.LastIndex(before, "-")+1] + name
			}
			listed = append(listed, name)
		}
	}
	var options Options
	options.Defaults()
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	options.AddFlags(flags)
	var taken []string
	flags.VisitAll(func(f *flag.Flag) {
		name := f.Name
		if strings.HasPrefix(name, "zap-") {
			name = "zap-*"
		}
		taken = append(taken, name)
	})
	slices.Sort(listed)
	slices.Sort(taken)
	if diff := cmp.Diff(listed, slices.Compact(taken)); diff != "" {
		t.Errorf("docs/operations.md and the manager (-page +manager):\n%s", diff)
	}
}

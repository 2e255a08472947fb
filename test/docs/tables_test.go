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
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/docs/page"
)

var (
	declared = regexp.MustCompile(`(?m)^\s+(?:chain|map|set) (\S+) \{`)
	numbered = regexp.MustCompile(`-\d+$`)
	rowName  = regexp.MustCompile("^\\| `([a-zA-Z-]+)`")
)

// generic is a name with what stands for its number on the page.
func generic(name string) string {
	letter := map[string]string{"source-ranges": "-N", "sticky": "-T"}[numbered.ReplaceAllString(name, "")]
	if letter == "" {
		letter = "-M"
	}
	return numbered.ReplaceAllString(name, letter)
}

// everyNameIsExplained compares docs/packet-flow.md with the tables of both
// families of a node, and with those of an agent that was told to do all it can.
func (c *cluster) everyNameIsExplained(t *testing.T, p page.Page) {
	explained := map[string]bool{}
	inTable := false
	for line := range strings.Lines(p.Prose) {
		switch {
		case strings.HasPrefix(line, "| Chain |"), strings.HasPrefix(line, "| Name |"):
			inTable = true
		case !strings.HasPrefix(line, "|"):
			inTable = false
		}
		if m := rowName.FindStringSubmatch(line); inTable && m != nil {
			explained[m[1]] = true
		}
	}
	const samples = "kubectl get services,endpointslices,nodes,servicecidrs -A -o yaml | switchyard-node render -f - --node-name node-1 --announce=l2 --count-connections --answer-echo"
	there := map[string]bool{}
	for _, print := range []string{
		"switchyard exec --node 1 -- nft list table ip switchyard",
		"switchyard exec --node 1 -- nft list table ip6 switchyard",
		samples,
	} {
		cmd := c.command("bash", "-c", print)
		cmd.Path = "/bin/bash"
		cmd.Dir = filepath.Dir(c.home)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", print, err)
		}
		found := declared.FindAllStringSubmatch(string(out), -1)
		if len(found) < 100 {
			t.Errorf("%s: only %d chains, maps and sets", print, len(found))
		}
		for _, m := range found {
			there[generic(m[1])] = true
		}
	}
	for name := range there {
		if !explained[name] {
			t.Errorf("%s: no line of a table explains %s", p.Name, name)
		}
	}
	for name := range explained {
		if !there[name] {
			t.Errorf("%s: there is no %s", p.Name, name)
		}
	}
	t.Logf("%d names are explained: %v", len(there), slices.Sorted(maps.Keys(there)))
}

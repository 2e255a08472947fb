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
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	askedOf = regexp.MustCompile(`^kubectl (?:-n \S+ )?(get|describe|logs|events|explain|auth|apply|create|annotate|label|delete|patch) (.*)`)
	changes = []string{"apply", "create", "annotate", "label", "delete", "patch"}
	// absent is the answer to a command in which NODE or web stands for an object of the reader's.
	absent = regexp.MustCompile(`\(NotFound\)|no matching resources found`)
	// elsewhere are commands for what the local cluster does not have.
	elsewhere = map[string]string{
		"kubectl -n switchyard-system describe certificate": "a kind of cert-manager's",
	}
)

// asked are the commands of kubectl's that the text names whole, with an object: those
// that change something only as far as the API server would do it.
func asked(t *testing.T) (commands []string) {
	t.Helper()
	for _, p := range pages(t) {
		for _, c := range code.FindAllString(p.Prose, -1) {
			command := strings.Trim(c, "`")
			m := askedOf.FindStringSubmatch(command)
			if m == nil || strings.Contains(command, "...") || elsewhere[command] != "" {
				continue
			}
			whole := slices.ContainsFunc(strings.Fields(m[2]), func(word string) bool { return !strings.HasPrefix(word, "-") })
			if !whole || strings.HasSuffix(command, " -f") {
				continue
			}
			if slices.Contains(changes, m[1]) && !strings.Contains(command, "--dry-run") {
				command += " --dry-run=server"
			}
			if !slices.Contains(commands, command) {
				commands = append(commands, command)
			}
		}
	}
	return commands
}

// askAll has the cluster answer each command of the text.
func (c *cluster) askAll(t *testing.T) {
	t.Helper()
	s, commands := newShell(t, c.view(t), c.environment()), asked(t)
	if len(commands) < 20 {
		t.Errorf("the text names %d commands of kubectl's", len(commands))
	}
	for _, command := range commands {
		printed, exit, err := s.run("set -o pipefail; " + command)
		if err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(printed, "\n"); exit != 0 && !absent.MatchString(all) {
			t.Errorf("$ %s\nexit code %d:\n%s", command, exit, all)
		}
	}
}

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
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"switchyard.dev/switchyard/test/docs/page"
	"switchyard.dev/switchyard/test/testenv"
)

var (
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	code    = regexp.MustCompile("`[^`\n]*`")
)

// TestLinks follows every relative link, to its anchor.
func TestLinks(t *testing.T) {
	all := map[string]page.Page{}
	for _, p := range pages(t) {
		all[p.Name] = p
	}
	followed := 0
	for name, p := range all {
		for _, target := range linksOf(p) {
			followed++
			if err := leads(all, name, target); err != nil {
				t.Errorf("%s: the link %s: %v", name, target, err)
			}
		}
	}
	t.Logf("%d links followed", followed)
}

// TestEveryPageIsReachable goes from docs/README.md along the links.
func TestEveryPageIsReachable(t *testing.T) {
	all := map[string]page.Page{}
	for _, p := range pages(t) {
		all[p.Name] = p
	}
	seen := map[string]bool{}
	for queue := []string{"docs/README.md"}; len(queue) > 0; queue = queue[1:] {
		if name := queue[0]; !seen[name] {
			seen[name] = true
			for _, target := range linksOf(all[name]) {
				path, _, _ := strings.Cut(target, "#")
				queue = append(queue, filepath.Join(filepath.Dir(name), path))
			}
		}
	}
	for name := range all {
		if strings.HasPrefix(name, "docs/") && !seen[name] {
			t.Errorf("no way leads from docs/README.md to %s", name)
		}
	}
}

// linksOf are the page's relative links.
func linksOf(p page.Page) []string {
	var all []string
	for _, m := range link.FindAllStringSubmatch(code.ReplaceAllStringFunc(p.Prose, blank), -1) {
		if !strings.Contains(m[1], "://") && !strings.HasPrefix(m[1], "mailto:") {
			all = append(all, m[1])
		}
	}
	return all
}

func blank(s string) string { return strings.Repeat("x", len(s)) }

func leads(all map[string]page.Page, from, target string) error {
	path, anchor, anchored := strings.Cut(target, "#")
	to := from
	if path != "" {
		to = filepath.Join(filepath.Dir(from), path)
	}
	if _, err := os.Stat(filepath.Join(testenv.Root(), to)); err != nil {
		return err
	}
	if p, isPage := all[to]; anchored && isPage && !anchorsOf(p)[anchor] {
		return fmt.Errorf("%s has no heading #%s", to, anchor)
	}
	return nil
}

// anchorsOf are those that GitHub gives the page's headings.
func anchorsOf(p page.Page) map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(p.Prose, -1) {
		text := link.ReplaceAllStringFunc(m[1], func(s string) string { return strings.TrimPrefix(strings.Split(s, "](")[0], "[") })
		slug := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, text)
		unique := slug
		for n := 1; all[unique]; n++ {
			unique = fmt.Sprintf("%s-%d", slug, n)
		}
		all[unique] = true
	}
	return all
}

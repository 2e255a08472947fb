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

package differential

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// problem is an error as it reaches a user.
type problem struct{ Type, Field, Message string }

func (p problem) String() string { return p.Field + ": " + p.Message }

func (p problem) compare(q problem) int {
	return cmp.Or(strings.Compare(p.Type, q.Type), strings.Compare(p.Field, q.Field), strings.Compare(p.Message, q.Message))
}

// problems are sorted: the order of a list of errors carries no meaning, and
// that of labels is left to chance.
func problems(errs field.ErrorList) []problem {
	out := make([]problem, 0, len(errs))
	for _, err := range errs {
		out = append(out, problem{string(err.Type), err.Field, err.ErrorBody()})
	}
	slices.SortFunc(out, problem.compare)
	return out
}

// tally counts what was compared, and which errors there were.
type tally struct {
	compared, accepted int
	// seen counts the errors by type, path without indices and text.
	seen map[problem]int
}

func newTally() *tally { return &tally{seen: map[problem]int{}} }

// same fails the test where ours and the server's differ in anything.
func (c *tally) same(t *testing.T, what string, ours, servers []problem, objects ...any) {
	t.Helper()
	c.compared++
	if len(servers) == 0 {
		c.accepted++
	}
	for _, p := range servers {
		c.seen[p]++
	}
	if slices.Equal(ours, servers) {
		return
	}
	t.Errorf("%s: ours and the server's errors differ\nonly ours:   %v\nonly theirs: %v\nof %s",
		what, without(ours, servers), without(servers, ours), spelled(objects))
}

// without is the multiset difference.
func without(a, b []problem) []problem {
	b = slices.Clone(b)
	var rest []problem
	for _, p := range a {
		if i := slices.Index(b, p); i >= 0 {
			b = slices.Delete(b, i, i+1)
			continue
		}
		rest = append(rest, p)
	}
	return rest
}

func spelled(objects []any) string {
	var texts []string
	for _, object := range objects {
		text, err := json.Marshal(object)
		if err != nil {
			text = fmt.Appendf(nil, "%+v", object)
		}
		texts = append(texts, string(text[:min(len(text), 4000)]))
	}
	return strings.Join(texts, "\nand ")
}

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

package status

import (
	"strings"
	"testing"
)

func TestANodeDoesNotWriteToTheTerminalOfWhoAsks(t *testing.T) {
	report := &Report{
		Agents:   Agents{Nodes: 1, List: []Agent{{Program: Program{Node: "node-1", Version: "v1\x1b[2J\u009b3J"}, Asked: true}}, Versions: map[string]int{"v1\x1b[2J": 1}},
		Warnings: []Warning{{Message: "node-1 says \x1b]0;title\a", Remedy: "\u202eback"}},
		NotSeen:  []Unseen{{What: "agents", Reason: "\x1b[31mred"}},
	}
	var text strings.Builder
	if err := report.Print(&text); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(text.String(), "\x1b\a\u009b\u202e") || !strings.Contains(text.String(), "v1\ufffd[2J") {
		t.Errorf("what nodes say is printed as it is: %q", text.String())
	}
}

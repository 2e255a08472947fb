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

package top

import (
	"strings"
	"testing"
)

func TestANodeDoesNotWriteToTheTerminalOfWhoWatches(t *testing.T) {
	var text strings.Builder
	row := Row{Node: "node-1\x1b[2J"}
	row.Namespace, row.Service = "shop\u009b3J", "web\x1b]0;title\a"
	if err := Print(&text, []Row{row}, 0); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(text.String(), "\x1b\a\u009b") || !strings.Contains(text.String(), "web\ufffd]0;title") {
		t.Errorf("what a node says is printed as it is: %q", text.String())
	}
}

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

package who

import (
	"strings"
	"testing"
	"time"
)

func TestAnnotationsDoNotWriteToTheTerminalOfWhoAsks(t *testing.T) {
	now := time.Now()
	service := ServiceAnswer{Namespace: "shop", Name: "web", Exists: true, Created: &now, Retain: "all\x1b]0;title\a\n\u009b2J\u202e"}
	var text strings.Builder
	if err := service.Print(&text, now, false); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(text.String(), "\x1b\a\u009b\u202e") || !strings.Contains(text.String(), "keeps its numbers: all\ufffd]0;title") {
		t.Errorf("an annotation is printed as it is: %q", text.String())
	}
}

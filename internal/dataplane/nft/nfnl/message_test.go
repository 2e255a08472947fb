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

package nfnl

import "testing"

// Phrases that name a rule each would stay for as long as the table's writer.
func TestEmptiedMessagesHoldNoPhrases(t *testing.T) {
	var m Messages
	m.Begin(1, 0, 2, "adding a rule")
	m.Reset()
	if kept := m.about[:1][0]; kept != "" || m.Len() != 0 {
		t.Errorf("%q is kept", kept)
	}
}

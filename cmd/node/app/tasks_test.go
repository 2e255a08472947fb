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
	"strings"
	"testing"
)

// --cleanup removes our own rules, where somebody may have meant kube-proxy's.
func TestOneTaskAtATime(t *testing.T) {
	for args, want := range map[string]string{
		"--cleanup --cleanup-kube-proxy":   "--cleanup and --cleanup-kube-proxy: give one of them",
		"--init-only --cleanup":            "--cleanup and --init-only: give one of them",
		"--init-only --cleanup-kube-proxy": "--cleanup-kube-proxy and --init-only: give one of them",
	} {
		if _, err := resolve(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	for _, one := range []string{"--cleanup", "--cleanup-kube-proxy", "--init-only"} {
		if _, err := resolve([]string{one}); err != nil {
			t.Errorf("%s: %v", one, err)
		}
	}
}

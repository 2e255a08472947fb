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

package localcluster

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestARefusalComesWithItsRemedy(t *testing.T) {
	tests := map[string]struct {
		err      error
		euid     int
		settings map[string]string
		want     string
	}{
		"root in an ordinary container": {
			err: unix.EPERM, want: "--privileged",
		},
		"a user of a hardened Debian": {
			err: unix.EPERM, euid: 1000,
			settings: map[string]string{"kernel.unprivileged_userns_clone": "0"},
			want:     "sudo sysctl kernel.unprivileged_userns_clone=1",
		},
		"a user where there are no user namespaces": {
			err: unix.ENOSPC, euid: 1000,
			settings: map[string]string{"user.max_user_namespaces": "0"},
			want:     "sudo sysctl user.max_user_namespaces=",
		},
		"a user of Ubuntu 24.04": {
			err: unix.EACCES, euid: 1000,
			settings: map[string]string{"kernel.apparmor_restrict_unprivileged_userns": "1", "user.max_user_namespaces": "9"},
			want:     "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
		},
		"a user refused for another reason": {
			err: unix.EPERM, euid: 1000, want: "run as root (operation not permitted)",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := explainRefusal(tc.err, tc.euid, func(name string) string { return tc.settings[name] })
			if !strings.Contains(got.Error(), tc.want) {
				t.Errorf("%q is not in: %v", tc.want, got)
			}
		})
	}
}

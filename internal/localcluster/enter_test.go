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

import "testing"

func TestOrdinaryUsersFindNft(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/local/bin:/usr/bin:/bin": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
		"/usr/sbin:/usr/bin":           "/usr/sbin:/usr/bin:/usr/local/sbin:/sbin",
		"":                             "/usr/local/sbin:/usr/sbin:/sbin",
	} {
		if got := withAdministratorsPrograms(path); got != want {
			t.Errorf("PATH %q becomes %q, want %q", path, got, want)
		}
	}
}

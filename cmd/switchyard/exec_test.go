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

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExecFindsPodAndCommand(t *testing.T) {
	tests := map[string]struct {
		options execOptions
		args    []string
		dash    int
		want    []string
		wantPod string
		wantErr bool
	}{
		"a pod":                         {args: []string{"web", "curl", "-s"}, dash: 1, want: []string{"curl", "-s"}, wantPod: "web"},
		"a pod, the dashes left out":    {args: []string{"web", "curl"}, dash: -1, want: []string{"curl"}, wantPod: "web"},
		"a node":                        {options: execOptions{node: "1"}, args: []string{"nft", "list"}, dash: 0, want: []string{"nft", "list"}},
		"outside":                       {options: execOptions{outside: true}, args: []string{"curl"}, dash: 0, want: []string{"curl"}},
		"a pod and no command":          {args: []string{"web"}, dash: 1, wantErr: true},
		"nothing":                       {dash: -1, wantErr: true},
		"a pod and a node":              {options: execOptions{node: "1"}, args: []string{"web", "curl"}, dash: 1, wantErr: true},
		"a node and outside":            {options: execOptions{node: "1", outside: true}, args: []string{"curl"}, dash: 0, wantErr: true},
		"two words where a pod belongs": {args: []string{"web", "oops", "curl"}, dash: 2, wantErr: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tc.options.split(tc.args, tc.dash)
			if (err != nil) != tc.wantErr {
				t.Fatalf("error %v, want one: %v", err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("command (-want +got):\n%s", diff)
			}
			if tc.options.pod != tc.wantPod {
				t.Errorf("pod %q, want %q", tc.options.pod, tc.wantPod)
			}
		})
	}
}

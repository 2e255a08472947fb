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
	"io"
	"strings"
	"testing"
)

func TestWrongArgumentsAreNamed(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string
	}{
		"logs of nothing":       {args: []string{"logs"}, want: "want one COMPONENT, got 0 arguments: `switchyard logs --help` says more"},
		"logs of two":           {args: []string{"logs", "etcd", "b"}, want: "want one COMPONENT, got 2 arguments: `switchyard logs --help` says more"},
		"a probe of nothing":    {args: []string{"probe"}, want: "want one ADDRESS:PORT, got 0 arguments: `switchyard probe --help` says more"},
		"nodes in words":        {args: []string{"up", "--nodes", "two"}, want: "--nodes \"two\": want a number: `switchyard up --help` lists the flags"},
		"more nodes than fit":   {args: []string{"up", "--nodes", "99999999999999999999"}, want: "--nodes \"99999999999999999999\": the number is too large: `switchyard up --help` lists the flags"},
		"a flag there is not":   {args: []string{"up", "--bogus"}, want: "unknown flag: --bogus: `switchyard up --help` lists the flags"},
		"a time without a unit": {args: []string{"up", "--wait", "5"}, want: "missing unit in duration"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			root := rootCommand()
			root.SetArgs(tc.args)
			root.SetOut(io.Discard)
			err := root.Execute()
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "strconv") {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

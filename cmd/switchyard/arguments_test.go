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
		"a trace from nowhere":  {args: []string{"trace", "--to", "web:80"}, want: "say from where to where: `switchyard trace --from POD --to HOST:PORT`"},
		"a trace of ICMP":       {args: []string{"trace", "--from", "a", "--to", "web:80", "--proto", "icmp"}, want: "--proto \"icmp\": want tcp, udp or sctp"},
		"a trace as YAML":       {args: []string{"trace", "--from", "a", "--to", "web:80", "-o", "yaml"}, want: "unknown output format \"yaml\""},
		"a trace without time":  {args: []string{"trace", "--from", "a", "--to", "web:80", "--timeout", "0s"}, want: "--timeout 0s: the time must be positive"},
		"a hasty top":           {args: []string{"top", "--interval", "1ms"}, want: "--interval 1ms: want at least 500ms"},
		"an unknown order":      {args: []string{"top", "--sort", "name"}, want: "--sort \"name\": want connections or bytes"},
		"two kinds of agents":   {args: []string{"top", "--node", "1", "--metrics-url", "http://a/metrics"}, want: "give one of them"},
		"an agent without URL":  {args: []string{"top", "--metrics-url", "node-1"}, want: "--metrics-url \"node-1\": want a URL"},
		"no command":            {args: []string{"nonsense"}, want: "there is no command \"nonsense\": `switchyard --help` lists the commands"},
		"nearly a command":      {args: []string{"stauts"}, want: "there is no command \"stauts\": did you mean status? `switchyard --help` lists"},
		"an audit of something": {args: []string{"audit", "extra"}, want: "unexpected argument \"extra\": `switchyard audit --help` says"},
		"no time for agents":    {args: []string{"status", "--agent-timeout", "-5s"}, want: "--agent-timeout -5s: the time must be positive"},
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

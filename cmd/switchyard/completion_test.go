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
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asProgram has the test binary be the program itself: a shell that completes
// starts it again.
const asProgram = "SWITCHYARD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// installed is a directory with links to the program, as after an installation
// with kubectl's plugins, and an environment for it that has no cluster.
func installed(t *testing.T) (dir string, environ []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, name := range []string{"switchyard", pluginName, pluginCompleteName} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	environ = append(os.Environ(), asProgram+"=1", "PATH="+dir+":"+os.Getenv("PATH"), "KUBECONFIG="+filepath.Join(dir, "none"),
		"SWITCHYARD_STATE="+filepath.Join(dir, "state"))
	return dir, environ
}

// typed has bash complete a line by the script that `switchyard completion bash`
// prints. The function of bash-completion that the script needs is replaced by
// what it does for words without colons and equal signs.
const typed = `
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}; }
__ltrim_colon_completions() { :; }
compopt() { :; }
source <(switchyard completion bash)
COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_TYPE=9
read -ra COMP_WORDS <<<"$LINE"
[[ $LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
__start_switchyard
printf '%s\n' "${COMPREPLY[@]}"
`

func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatalf("%v: install bash, whose completion is tested", err)
	}
	_, environ := installed(t)
	for line, want := range map[string][]string{
		"switchyard wh":                       {"who", "why"},
		"switchyard po":                       {"pools"},
		"switchyard au":                       {"audit"},
		"switchyard audit --man":              {"--manager-namespace"},
		"switchyard audit -o ":                {"json", "wide", "yaml"},
		"switchyard pools --as":               {"--ascii"},
		"switchyard completion ":              {"bash", "fish", "powershell", "zsh"},
		"switchyard who shop/":                nil, // there is no cluster to ask
		"switchyard why svc/":                 nil,
		"switchyard audit --context ":         nil,
		"switchyard trace --li":               {"--live"},
		"switchyard who 30080 --service-node": {"--service-node-port-range"},
	} {
		t.Run(line, func(t *testing.T) {
			shell := exec.CommandContext(t.Context(), bash, "--norc", "-c", typed)
			shell.Env = append(environ, "LINE="+line)
			out, err := shell.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var got []string
			for word := range strings.Lines(string(out)) {
				word, _, _ = strings.Cut(strings.TrimSpace(word), " ") // a description may follow
				if word = strings.TrimSuffix(word, "="); word != "" {
					got = append(got, word)
				}
			}
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, want) {
				t.Errorf("it offers %q, want %q", got, want)
			}
		})
	}
}

// What reads may stop at any time.
func TestNobodyComplainsWhereTheReaderIsGone(t *testing.T) {
	dir, environ := installed(t)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = reader.Close()
	defer func() { _ = writer.Close() }()
	var problems strings.Builder
	lint := exec.CommandContext(t.Context(), filepath.Join(dir, "switchyard"), "lint", "-f", "-", "-o", "yaml")
	lint.Env, lint.Stdin, lint.Stdout, lint.Stderr = environ, strings.NewReader(goodService), writer, &problems
	err = lint.Run()
	if exit, is := errors.AsType[*exec.ExitError](err); !is || exit.ExitCode() != exitBrokenPipe || problems.Len() > 0 {
		t.Errorf("%v, and it says %q", err, problems.String())
	}
}

func TestAllShellsGetAScript(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		root := rootCommand()
		var script strings.Builder
		root.SetArgs([]string{"completion", shell})
		root.SetOut(&script)
		if err := root.Execute(); err != nil || !strings.Contains(script.String(), "switchyard") {
			t.Errorf("%s: error %v, %d bytes", shell, err, script.Len())
		}
	}
}

func TestCalledAsPlugin(t *testing.T) {
	for program, tc := range map[string]struct {
		argv []string
		want string
	}{
		"switchyard":            {argv: []string{"/usr/bin/switchyard", "who", "--help"}, want: "\n  switchyard who {"},
		"kubectl's plugin":      {argv: []string{"/usr/bin/kubectl-switchyard", "who", "--help"}, want: "\n  kubectl switchyard who {"},
		"kubectl's completion":  {argv: []string{"kubectl_complete-switchyard", "wh"}, want: "who\t"},
		"completion of a value": {argv: []string{"kubectl_complete-switchyard", "audit", "-o", "j"}, want: "json\n"},
	} {
		t.Run(program, func(t *testing.T) {
			root := rootCommand()
			root.SetArgs(calledAs(root, tc.argv))
			var out strings.Builder
			root.SetOut(&out)
			root.SetErr(io.Discard)
			if err := root.Execute(); err != nil || !strings.Contains(out.String(), tc.want) {
				t.Errorf("error %v, it says\n%s\nwant %q", err, out.String(), tc.want)
			}
		})
	}
	root := rootCommand()
	root.SetArgs(calledAs(root, []string{"kubectl-switchyard", "who"}))
	if err := root.Execute(); err == nil || !strings.Contains(err.Error(), "`kubectl switchyard who --help` says more") {
		t.Errorf("error %v", err)
	}
}

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

package localcluster_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/prereq"
)

// machine is what a local cluster must leave alone: what each question about
// the machine's network and mounts is answered with.
type machine map[string]string

// questions are asked of the machine's own tools, counters left out.
var questions = [][]string{
	{"nft", "--stateless", "list", "ruleset"},
	{"ip", "-details", "link", "show"},
	{"ip", "address", "show"},
	{"ip", "-4", "route", "show", "table", "all"},
	{"ip", "-6", "route", "show", "table", "all"},
	{"ip", "-4", "rule", "show"},
	{"ip", "-6", "rule", "show"},
	{"ip", "netns", "list"},
}

// countdowns change by themselves; the timers are those of a bridge.
var countdowns = regexp.MustCompile(`(valid_lft|preferred_lft|expires|\w+_timer) +[\d.]+(sec)?`)

func lookAtMachine(t *testing.T) machine {
	t.Helper()
	prereq.Tool(t, "nft", "nftables")
	prereq.Tool(t, "ip", "iproute2")
	m := machine{}
	for _, question := range questions {
		answer, err := exec.Command(question[0], question[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", question, err, answer)
		}
		m[strings.Join(question, " ")] = countdowns.ReplaceAllString(string(answer), "$1")
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	m["mounts"] = string(mounts)
	m.readSysctls(t)
	return m
}

// readSysctls reads every network setting but the count of tracked
// connections, which changes with traffic.
func (m machine) readSysctls(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("/proc/sys/net", func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || entry.IsDir() || entry.Name() == "nf_conntrack_count" {
			return nil
		}
		value, err := os.ReadFile(path)
		if err == nil { // some can only be written
			m[path] = string(value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// mustStay fails if something of the machine is not as it was. That a kernel
// module was loaded and brought new settings is no change of the others.
func (m machine) mustStay(t *testing.T, when string) {
	t.Helper()
	now := lookAtMachine(t)
	for question, before := range m {
		if now[question] != before {
			t.Errorf("%s, %s is different\nbefore:\n%s\nnow:\n%s", when, question, before, now[question])
		}
	}
}

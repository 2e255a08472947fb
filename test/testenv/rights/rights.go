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

package rights

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2"

	"switchyard.dev/switchyard/test/testenv"
)

// Programs are those that have accounts.
var Programs = []string{"manager", "node", "dns"}

// Right is the line of testdata for a verb of a program.
func Right(program, group, resource, verb string) string {
	if group != "" {
		resource, sub, _ := strings.Cut(resource, "/")
		if group = resource + "." + group; sub != "" {
			group += "/" + sub
		}
		return fmt.Sprintf("%s %s %s", program, group, verb)
	}
	return fmt.Sprintf("%s %s %s", program, resource, verb)
}

// Read is a file of test/security/testdata: rights, and after a colon what is said of
// each.
func Read(name string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "test", "security", "testdata", name))
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for row := range strings.Lines(string(text)) {
		right, said, _ := strings.Cut(strings.TrimSpace(row), ": ")
		all[right] = said
	}
	return all, nil
}

// AskedBy runs the specs of a suite with the audit logs of its API servers, and wants
// all rights of used.txt to be used that name it. Part of the specs may use some.
func AskedBy(t *testing.T, suite string, specs func() bool) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv(testenv.AuditVariable, dir)
	if passed := specs(); passed && !chosen() {
		WantAsked(t, suite, dir)
	}
}

// chosen tells that not all specs are to run.
func chosen() bool {
	config, _ := ginkgo.GinkgoConfiguration()
	return len(config.FocusStrings)+len(config.SkipStrings)+len(config.FocusFiles)+len(config.SkipFiles)+len(config.LabelFilter) > 0
}

// WantAsked wants the audit logs of a directory to have all rights of used.txt that
// name the suite.
func WantAsked(t *testing.T, suite, dir string) {
	t.Helper()
	used, err := Read("used.txt")
	if err != nil {
		t.Fatal(err)
	}
	asked, err := askedIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	wanted := 0
	for right, by := range used {
		if by != suite {
			continue
		}
		wanted++
		if !asked[right] {
			t.Errorf("%s: %s does not use this right any more; take it from the role, or name another suite in test/security/testdata/used.txt", right, suite)
		}
	}
	if wanted == 0 {
		t.Errorf("no right is said to be used by %s", suite)
	}
}

// askedIn reads what the programs' accounts were given, or programs that ran as
// administrators and called themselves ours.
func askedIn(dir string) (map[string]bool, error) {
	found := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".log" {
			return err
		}
		log, err := os.Open(path)
		if err != nil {
			return err
		}
		scanner := bufio.NewScanner(log)
		scanner.Buffer(nil, 16<<20)
		for scanner.Scan() {
			if right, given := request(scanner.Bytes()); given {
				found[right] = true
			}
		}
		return errors.Join(scanner.Err(), log.Close())
	})
	return found, err
}

type user struct {
	Username string
}

func request(text []byte) (right string, given bool) {
	var event struct {
		Verb, UserAgent  string
		User             user
		ImpersonatedUser *user
		ObjectRef        *struct{ APIGroup, Resource, Subresource string }
		ResponseStatus   struct{ Code int }
	}
	if json.Unmarshal(text, &event) != nil || event.ObjectRef == nil || event.ResponseStatus.Code == 403 {
		return "", false
	}
	name := event.User.Username
	if event.ImpersonatedUser != nil {
		name = event.ImpersonatedUser.Username
	}
	i := slices.IndexFunc(Programs, func(program string) bool {
		return strings.HasPrefix(name, "system:serviceaccount:") && strings.HasSuffix(name, ":switchyard-"+program) ||
			strings.HasPrefix(event.UserAgent, "switchyard-"+program+"/")
	})
	if i < 0 {
		return "", false
	}
	resource := event.ObjectRef.Resource
	if event.ObjectRef.Subresource != "" {
		resource += "/" + event.ObjectRef.Subresource
	}
	return Right(Programs[i], event.ObjectRef.APIGroup, resource, event.Verb), true
}

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

package runner

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// accounts are the users and groups that an image has names for: its
// /etc/passwd and /etc/group, which may be missing.
type accounts struct{ passwd, group string }

// account is who a program runs as.
type account struct {
	user, group int
	groups      []int // supplementary ones
	home        string
}

func accountsOf(imageRoot string) accounts {
	root, err := os.OpenRoot(imageRoot)
	if err != nil {
		return accounts{}
	}
	defer func() { _ = root.Close() }()
	return accounts{passwd: readNames(root, "etc/passwd"), group: readNames(root, "etc/group")}
}

// maxNames bounds a file of names; these are some kilobytes.
const maxNames = 1 << 20

// readNames reads a file whole or, if it is too large, not at all: a line that
// was cut would be one of another user.
func readNames(root *os.Root, name string) string {
	file, err := root.Open(name)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxNames+1))
	if err != nil || len(text) > maxNames {
		return ""
	}
	return string(text)
}

// resolve reads what an image says of its user: nothing, user or user:group,
// each a name or a number.
func (a accounts) resolve(text string) (account, error) {
	if text == "" {
		return a.byID(0), nil
	}
	user, group, withGroup := strings.Cut(text, ":")
	who, ok := a.user(func(name string, id int) bool { return name == user })
	if id, err := strconv.Atoi(user); err == nil && !ok {
		who, ok = a.byID(id), true
	}
	if !ok {
		return account{}, fmt.Errorf("the image's user %q is not in its /etc/passwd", user)
	}
	if !withGroup {
		return who, nil
	}
	for fields := range records(a.group, 3) {
		if id, err := strconv.Atoi(fields[2]); err == nil && fields[0] == group {
			who.group = id
			return who, nil
		}
	}
	id, err := strconv.Atoi(group)
	if err != nil {
		return account{}, fmt.Errorf("the image's group %q is not in its /etc/group", group)
	}
	who.group = id
	return who, nil
}

// byID is a user of that number, of group 0 unless the image knows another.
func (a accounts) byID(id int) account {
	if who, ok := a.user(func(_ string, has int) bool { return has == id }); ok {
		return who
	}
	return account{user: id, home: "/"}
}

func (a accounts) user(is func(name string, id int) bool) (account, bool) {
	for fields := range records(a.passwd, 6) {
		id, err := strconv.Atoi(fields[2])
		if err != nil || !is(fields[0], id) {
			continue
		}
		group, _ := strconv.Atoi(fields[3])
		return account{user: id, group: group, groups: a.memberships(fields[0]), home: fields[5]}, true
	}
	return account{}, false
}

func (a accounts) memberships(name string) []int {
	var groups []int
	for fields := range records(a.group, 4) {
		if id, err := strconv.Atoi(fields[2]); err == nil && slices.Contains(strings.Split(fields[3], ","), name) {
			groups = append(groups, id)
		}
	}
	return groups
}

// records are the lines of a file like /etc/passwd that have enough fields.
func records(text string, fields int) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			record := strings.Split(strings.TrimSpace(line), ":")
			if len(record) >= fields && !yield(record) {
				return
			}
		}
	}
}

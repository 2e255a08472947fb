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
	"os"
	"strings"
)

// identities are the users and groups that exist in the runner's user
// namespace. An ordinary user's cluster has one of each: 0.
type identities struct{ users, groups []idRange }

type idRange struct{ first, count int }

func readIdentities() identities {
	users, _ := os.ReadFile("/proc/self/uid_map")
	groups, _ := os.ReadFile("/proc/self/gid_map")
	return identities{users: parseIDMap(string(users)), groups: parseIDMap(string(groups))}
}

func parseIDMap(text string) []idRange {
	var ranges []idRange
	for line := range strings.Lines(text) {
		var r idRange
		var outside int
		if _, err := fmt.Sscan(line, &r.first, &outside, &r.count); err == nil {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

func has(ranges []idRange, id int) bool {
	for _, r := range ranges {
		if id >= r.first && id-r.first < r.count {
			return true
		}
	}
	return false
}

// fit is what can be had of privileges here, and what was left out. A user that
// does not exist becomes user 0 without any capability.
func (i identities) fit(p privileges) (privileges, string) {
	var lost []string
	if !has(i.users, p.User) {
		lost = append(lost, fmt.Sprintf("user %d", p.User))
		p.User, p.Stripped, p.Capabilities = 0, true, 0
	}
	if !has(i.groups, p.Group) {
		lost = append(lost, fmt.Sprintf("group %d", p.Group))
		p.Group = 0
	}
	var groups []int
	for _, group := range p.Groups {
		if has(i.groups, group) {
			groups = append(groups, group)
		} else {
			lost = append(lost, fmt.Sprintf("group %d", group))
		}
	}
	p.Groups = groups
	if len(lost) == 0 {
		return p, ""
	}
	return p, strings.Join(lost, ", ") + " can not be had in a local cluster of an ordinary user: run it as root"
}

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

package model

import (
	"slices"
	"strings"
)

// reports remembers which Problems have been handed out, so that each is
// reported once and not with every event of its object.
type reports struct {
	touched  map[reportKey]struct{}
	reported map[reportKey][]Problem
}

type reportKey struct{ kind, namespace, name string }

func newReports() reports {
	return reports{touched: map[reportKey]struct{}{}, reported: map[reportKey][]Problem{}}
}

func (r *reports) touch(o Object) {
	r.touched[reportKey{o.Kind, o.Namespace, o.Name}] = struct{}{}
}

// TakeProblems returns, in order, the Problems that appeared since the last
// call. One that was solved and comes back is reported again.
func (s *Store) TakeProblems() []Problem {
	var fresh []Problem
	for key := range s.reports.touched {
		now := s.problems(key)
		for _, problem := range now {
			if !slices.Contains(s.reports.reported[key], problem) {
				fresh = append(fresh, problem)
			}
		}
		if len(now) == 0 {
			delete(s.reports.reported, key)
		} else {
			s.reports.reported[key] = now
		}
	}
	clear(s.reports.touched)
	slices.SortFunc(fresh, func(a, b Problem) int { return strings.Compare(a.String(), b.String()) })
	return fresh
}

// problems is everything that is wrong with one object now.
func (s *Store) problems(key reportKey) []Problem {
	if key.kind == "Service" {
		svc := s.services[serviceKey{key.namespace, key.name}]
		if svc == nil {
			return nil
		}
		return append(slices.Clone(svc.problems), s.contests(svc)...)
	}
	held := s.slices[s.ownerOf[sliceKey{key.namespace, key.name}]][key.name]
	if held == nil {
		return nil
	}
	return held.problems
}

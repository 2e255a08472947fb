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

package diagnosis

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// nearMiss is one label that keeps pods from being selected: they have key=value
// where the selector asks for wantKey=want. An empty key is no such label.
type nearMiss struct {
	wantKey, want string
	key, value    string
	// others is how many pairs of the selector these pods have besides.
	others int
	pods   []string
	// count is how many they are, of which pods are the first.
	count int
	// rank is what the difference is, the likeliest first.
	rank rank
}

// nearMisses are what the selector was probably meant to be, best first. Each pod
// is looked at once, and texts are compared once for each pair that there is.
func nearMisses(selector map[string]string, pods []*corev1.Pod) []nearMiss {
	found, alike := map[nearMissKey]*nearMiss{}, likeness{}
	for _, pod := range pods {
		missing := missingPairs(selector, pod.Labels)
		for _, wantKey := range missing {
			for _, guess := range alike.guesses(wantKey, selector[wantKey], pod.Labels, len(missing) == 1 && len(selector) > 1) {
				guess.others = len(selector) - len(missing)
				add(found, guess, pod.Name)
			}
		}
	}
	list := make([]nearMiss, 0, len(found))
	for _, guess := range found {
		list = append(list, *guess)
	}
	slices.SortFunc(list, nearMiss.order)
	return list
}

type nearMissKey struct {
	wantKey, key, value string
	others              int
}

// maxGuesses bounds what is remembered of a namespace in which each pod has
// labels of its own.
const maxGuesses = 500

func add(found map[nearMissKey]*nearMiss, guess nearMiss, pod string) {
	key := nearMissKey{guess.wantKey, guess.key, guess.value, guess.others}
	have := found[key]
	if have == nil {
		if len(found) >= maxGuesses {
			return
		}
		guess.rank = guess.rankOf()
		have = &guess
		found[key] = have
	}
	have.count++
	if len(have.pods) <= maxNames {
		have.pods = append(have.pods, pod)
	}
}

func missingPairs(selector, labels map[string]string) []string {
	var missing []string
	for key, value := range selector {
		if have, ok := labels[key]; !ok || have != value {
			missing = append(missing, key)
		}
	}
	return missing
}

// likeness remembers which texts are alike, so that each pair is compared once.
type likeness map[[2]string]bool

func (l likeness) similar(have, want string) bool {
	alike, known := l[[2]string{have, want}]
	if !known && len(l) < maxGuesses {
		alike = similar(have, want)
		l[[2]string{have, want}] = alike
	}
	return alike
}

// guesses are labels that may have been meant by key=want. The only pair that is
// missing is one however different it is.
func (l likeness) guesses(key, want string, labels map[string]string, only bool) []nearMiss {
	var guesses []nearMiss
	have, present := labels[key]
	if present && (only || l.similar(have, want)) {
		return []nearMiss{{wantKey: key, want: want, key: key, value: have}}
	}
	for other, value := range labels {
		if present || groups[other] {
			continue
		}
		if other != key && value == want {
			guesses = append(guesses, nearMiss{wantKey: key, want: want, key: other, value: value})
		}
	}
	if len(guesses) == 0 && !present && only {
		return []nearMiss{{wantKey: key, want: want}}
	}
	return guesses
}

// groups are keys of labels that many have in common who do different things.
var groups = map[string]bool{"app.kubernetes.io/part-of": true, "app.kubernetes.io/managed-by": true, "app.kubernetes.io/instance": true, "helm.sh/chart": true}

// rank is how likely it is that a label was meant.
type rank int

const (
	mistypedValue rank = iota
	otherKey
	partOfValue
	otherValue
	noLabel
)

func (m nearMiss) rankOf() rank {
	switch {
	case m.key == "":
		return noLabel
	case m.key != m.wantKey:
		return otherKey
	case ordinals(m.value, m.want):
		return otherValue
	case mistyped(m.value, m.want):
		return mistypedValue
	case similar(m.value, m.want):
		return partOfValue
	}
	return otherValue
}

func (m nearMiss) order(other nearMiss) int {
	return cmp.Or(cmp.Compare(other.others, m.others), cmp.Compare(m.rank, other.rank), cmp.Compare(other.count, m.count),
		cmp.Compare(m.wantKey, other.wantKey), cmp.Compare(m.key, other.key), cmp.Compare(m.value, other.value))
}

// clause tells what the pods have instead.
func (m nearMiss) clause() string {
	has := "have"
	if m.count == 1 {
		has = "has"
	}
	what := fmt.Sprintf("%s=%s", m.key, m.value)
	if m.key == "" {
		what = "no label " + m.wantKey
	}
	names := enumerateOf(m.pods, m.count)
	if m.others > 0 {
		return fmt.Sprintf("%s %s the rest and %s where %s=%s is asked for (%s)", counted(m.count, "pod"), has, what, m.wantKey, m.want, names)
	}
	return fmt.Sprintf("%s %s %s (%s)", counted(m.count, "pod"), has, what, names)
}

// remedy names the field to change. What is no plain mistake may be other pods,
// and those that are meant are not there.
func (m nearMiss) remedy() string {
	const absent = ", or see whether what makes the pods is scaled to zero"
	switch {
	case m.wantKey == appsv1.StatefulSetPodNameLabel:
		return "see why the StatefulSet has no pod " + m.want
	case m.wantKey == appsv1.PodIndexLabel:
		return "see why the StatefulSet has no pod of index " + m.want
	case m.key == "":
		return fmt.Sprintf("remove %s from spec.selector or give the pods the label %s=%s", m.wantKey, m.wantKey, m.want) + absent
	case m.key != m.wantKey:
		return fmt.Sprintf("change %s=%s of spec.selector to %s=%s, or give the pods the label %s=%s, if these are meant",
			m.wantKey, m.want, m.key, m.value, m.wantKey, m.want) + absent
	case m.rank != mistypedValue:
		return fmt.Sprintf("change spec.selector.%s to %s if these are meant", m.wantKey, m.value) + absent
	}
	return fmt.Sprintf("change spec.selector.%s to %s, or the label of the pods to %s", m.wantKey, m.value, m.want)
}

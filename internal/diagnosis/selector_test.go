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
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func relabel(labels ...string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Labels = labelled(labels...).MatchLabels }
}

func TestNoMatchingPods(t *testing.T) {
	selector := func(f *Facts, pairs ...string) { f.Service.Spec.Selector = labelled(pairs...).MatchLabels }
	examined(t, map[string]outcome{
		"a typing error in the value": {state: Problem, check: CheckSelector, want: NoMatchingPods,
			says:   []string{"no pod of namespace shop has the label app=web, but 3 pods have app=webb (web-1, web-2 and web-3)", "change spec.selector.app to webb, or the label of the pods to web."},
			change: func(f *Facts) { f.noPods(relabel("app", "webb")) }},
		"another case": {state: Problem, check: CheckSelector, want: NoMatchingPods, says: []string{"change spec.selector.app to Web,"},
			change: func(f *Facts) { f.noPods(relabel("app", "Web")) }},
		"the value under another key": {state: Problem, check: CheckSelector, want: NoMatchingPods,
			says:   []string{"3 pods have app.kubernetes.io/name=web", "change app=web of spec.selector to app.kubernetes.io/name=web"},
			change: func(f *Facts) { f.noPods(relabel("app.kubernetes.io/name", "web")) }},
		"a typing error in the key": {state: Problem, check: CheckSelector, want: NoMatchingPods, says: []string{"change app=web of spec.selector to ap=web"},
			change: func(f *Facts) { f.noPods(relabel("ap", "web")) }},
		"all but one pair": {state: Problem, check: CheckSelector, want: NoMatchingPods,
			says: []string{"all of the labels app=web and version=v2", "3 pods have the rest and version=v1 where version=v2 is asked for", "change spec.selector.version to v1 if these are meant, or see whether"},
			change: func(f *Facts) {
				selector(f, "app", "web", "version", "v2")
				f.noPods(relabel("app", "web", "version", "v1"))
			}},
		"all but one label, which is not there": {state: Problem, check: CheckSelector, want: NoMatchingPods, says: []string{"no label tier where tier=front is asked for", "remove tier from spec.selector"},
			change: func(f *Facts) {
				selector(f, "app", "web", "tier", "front")
				f.noPods(relabel("app", "web"))
			}},
		"a slip is likelier than another application": {state: Problem, check: CheckSelector, want: NoMatchingPods, says: []string{"app=wbe"}, details: []string{"app=api"},
			change: func(f *Facts) {
				selector(f, "app", "web", "env", "prod")
				f.noPods(relabel("app", "api", "env", "prod"))
				relabel("app", "wbe", "env", "prod")(f.Others[2])
			}},
		"nothing like it": {state: Problem, check: CheckSelector, want: NoMatchingPods, says: []string{"see whether what makes the pods is scaled to zero, or change spec.selector or the labels of the pods."},
			change: func(f *Facts) { f.noPods(relabel("app", "database")) }},
		"a namespace that goes": {state: Problem, check: CheckSelector, want: NoMatchingPods, says: []string{"the namespace is being deleted, so that no pod can be made in it; make"}, change: func(f *Facts) {
			f.noPods(relabel("app", "webb"))
			f.NamespaceDeleting = true
		}},
		"no pods at all": {state: Problem, check: CheckSelector, want: NoMatchingPods, says: []string{"nor are there others", "scaled to zero"}, change: func(f *Facts) { f.Selected = nil }},
		"pods alike that have ended are no help": {state: Problem, check: CheckSelector, want: NoMatchingPods, says: []string{"nor are there others"}, change: func(f *Facts) {
			f.noPods(func(pod *corev1.Pod) { relabel("app", "webb")(pod); pod.Status.Phase = corev1.PodSucceeded })
		}},
		"neither a selector nor endpoints": {state: Problem, check: CheckSelector, want: NoSelectorNoEndpoints, says: []string{"set spec.selector", "kubernetes.io/service-name=web"},
			change: func(f *Facts) { f.noSelectorNorPods() }},
		"an empty slice by hand": {state: Problem, check: CheckSelector, want: NoSelectorNoEndpoints, change: func(f *Facts) {
			f.noSelectorNorPods()
			f.Slices = append(f.Slices, slice("web-empty", "", "IPv4", nil))
		}},
		"pods that could not be seen": {state: Problem, check: CheckSlices, want: SlicesMissing, says: []string{"why could not be seen, as Pods could not be read"}, change: func(f *Facts) {
			f.Selected, f.Unseen = nil, map[Kind]string{Pods: "forbidden"}
		}},
		"slices tell enough of pods that could not be seen": {state: OK,
			after: func(f *Facts) { f.Selected, f.Unseen = nil, map[Kind]string{Pods: "forbidden"} }},
	})
}

// A namespace of 5,000 pods, each with labels of its own, is searched in passing.
func TestNearMissesAreBounded(t *testing.T) {
	f := webFacts()
	f.Selected = nil
	for i := range 5000 {
		f.Others = append(f.Others, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("job-%d", i),
			Labels: map[string]string{"app": fmt.Sprintf("web-%d", i), fmt.Sprintf("key-%d", i): "web", strings.Repeat("k", 63): strings.Repeat("v", 63)}}})
	}
	r := Examine(f)
	step, _ := r.Step(CheckSelector)
	if step.Reason != NoMatchingPods || len(step.Details) > maxDetails || len(r.Verdict.Sentence) > maxMessage {
		t.Errorf("%s with %d details and a sentence of %d letters", step.Reason, len(step.Details), len(r.Verdict.Sentence))
	}
	if n := len(nearMisses(f.Service.Spec.Selector, f.Others)); n > maxGuesses {
		t.Errorf("%d guesses", n)
	}
	alike := likeness{}
	for _, pod := range f.Others {
		alike.similar(pod.Labels["app"], "web")
	}
	if len(alike) > maxGuesses {
		t.Errorf("%d comparisons", len(alike))
	}
	if allocs := testing.AllocsPerRun(1, func() { Examine(f) }); allocs > 100_000 {
		t.Errorf("%v allocations for 5,000 pods", allocs)
	}
}

func TestSimilar(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"web", "webb", true}, {"web", "Web", true}, {"web", "wbe", true}, {"http", "http-web", true}, {"web", "http-web", true}, {"frontend", "fronted", true},
		{"web", "webhook", false}, {"web", "api", false}, {"v1", "v2", false}, {"web", "", false}, {"", "", true}, {"ap", "app", false}, {"database", "web", false},
		{strings.Repeat("a", 100), strings.Repeat("a", 99) + "b", false},
	} {
		if got := similar(tc.a, tc.b); got != tc.want {
			t.Errorf("similar(%q, %q) = %v", tc.a, tc.b, got)
		}
	}
}

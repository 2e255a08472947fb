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

package controllers

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

func svc(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "default", Name: name}
}

func sorted(names []types.NamespacedName) []string {
	found := []string{}
	for _, name := range names {
		found = append(found, name.Name)
	}
	slices.Sort(found)
	return found
}

func TestSelectorIndexFindsTheServicesOfAPod(t *testing.T) {
	index := newSelectorIndex()
	index.Set(svc("web"), map[string]string{"app": "web", "tier": "front"})
	index.Set(svc("shop"), map[string]string{"app": "shop", "tier": "front"})
	index.Set(svc("front"), map[string]string{"tier": "front"})
	index.Set(svc("manual"), nil)
	index.Set(types.NamespacedName{Namespace: "other", Name: "web"}, map[string]string{"app": "web"})

	cases := map[string]struct {
		pod  map[string]string
		want []string
	}{
		"all pairs of a selector must be there":  {map[string]string{"app": "web", "tier": "front", "x": "y"}, []string{"front", "web"}},
		"one pair is not enough":                 {map[string]string{"app": "web"}, []string{}},
		"a key with another value is no match":   {map[string]string{"app": "shop", "tier": "back"}, []string{}},
		"a pod without labels belongs to nobody": {nil, []string{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, sorted(index.Matches("default", tc.pod))); diff != "" {
				t.Errorf("Services (-want +got):\n%s", diff)
			}
		})
	}
	if index.Has(svc("manual")) {
		t.Error("a Service without a selector is indexed")
	}
}

// The model tries every Service, as kube-controller-manager does.
func TestSelectorIndexAgreesWithTryingEveryService(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	randomLabels := func(atMost int) map[string]string {
		set := map[string]string{}
		for range random.IntN(atMost + 1) {
			set[fmt.Sprint("k", random.IntN(4))] = fmt.Sprint("v", random.IntN(3))
		}
		return set
	}
	index, model := newSelectorIndex(), map[types.NamespacedName]map[string]string{}
	for range 20_000 {
		service := types.NamespacedName{Namespace: fmt.Sprint("n", random.IntN(2)), Name: fmt.Sprint("s", random.IntN(30))}
		switch random.IntN(3) {
		case 0:
			model[service] = randomLabels(3)
			index.Set(service, model[service])
		case 1:
			delete(model, service)
			index.Delete(service)
		default:
			pod, want := randomLabels(4), []types.NamespacedName{}
			for candidate, selector := range model {
				if candidate.Namespace == service.Namespace && len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(pod)) {
					want = append(want, candidate)
				}
			}
			if diff := cmp.Diff(sorted(want), sorted(index.Matches(service.Namespace, pod))); diff != "" {
				t.Fatalf("Services for %v (-want +got):\n%s", pod, diff)
			}
		}
	}
	for service := range model {
		index.Delete(service)
	}
	if len(index.namespaces) != 0 {
		t.Errorf("an index without Services still holds %d namespaces", len(index.namespaces))
	}
}

func TestSelectorIndexFilesUnderTheRarestPair(t *testing.T) {
	index := newSelectorIndex()
	for i := range 100 {
		index.Set(svc(fmt.Sprint("s", i)), map[string]string{"app": fmt.Sprint("a", i), "team": "blue", "zz-env": "prod"})
	}
	space := index.namespaces["default"]
	for _, shared := range []labelPair{{"team", "blue"}, {"zz-env", "prod"}} {
		if filed := len(space.anchored[shared]); filed > 1 {
			t.Errorf("%d of 100 Services are filed under %s=%s, which all of them share", filed, shared.key, shared.value)
		}
	}
}

func TestPodUpdateTouches(t *testing.T) {
	index := newSelectorIndex()
	index.Set(svc("blue"), map[string]string{"color": "blue"})
	index.Set(svc("green"), map[string]string{"color": "green"})
	index.Set(svc("app"), map[string]string{"app": "web"})
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{}
		p.Namespace, p.ResourceVersion = "default", "1"
		p.Labels = map[string]string{"app": "web", "color": "blue"}
		p.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.1"}}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		if change != nil {
			change(p)
			p.ResourceVersion = "2"
		}
		return p
	}
	green := func(p *corev1.Pod) { p.Labels = map[string]string{"app": "web", "color": "green"} }
	unready := func(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }
	cases := map[string]struct {
		change func(*corev1.Pod)
		want   string
	}{
		"a resync touches nothing":                        {nil, ""},
		"an annotation touches nothing":                   {func(p *corev1.Pod) { p.Annotations = map[string]string{"a": "b"} }, ""},
		"a running phase touches nothing":                 {func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }, ""},
		"readiness touches the pod's Services":            {unready, "app blue"},
		"an address touches the pod's Services":           {func(p *corev1.Pod) { p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: "fd00::1"}) }, "app blue"},
		"an end touches the pod's Services":               {func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, "app blue"},
		"a hostname touches the pod's Services":           {func(p *corev1.Pod) { p.Spec.Hostname = "h" }, "app blue"},
		"a label touches only who gains or loses the pod": {green, "blue green"},
		"a pod made again while the watch was down":       {func(p *corev1.Pod) { p.UID = "2" }, "app blue"},
		"label and readiness touch all of them":           {func(p *corev1.Pod) { green(p); unready(p) }, "app blue green"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(sorted(servicesTouchedBy(index, pod(nil), pod(tc.change))), " ")
			if got != tc.want {
				t.Errorf("touched %q, want %q", got, tc.want)
			}
		})
	}
}

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
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"switchyard.dev/switchyard/test/prereq"
)

// sliceEvent is of a slice with these pods, those that begin with ! not ready.
func sliceEvent(kind watch.EventType, name string, pods ...string) watch.Event {
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, pod := range pods {
		pod, not := strings.CutPrefix(pod, "!")
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			Conditions: discoveryv1.EndpointConditions{Ready: new(!not)}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: pod},
		})
	}
	return watch.Event{Type: kind, Object: slice}
}

func TestReadinessIsThatOfTheLastSliceOfEachPod(t *testing.T) {
	base := time.Now()
	for name, tc := range map[string]struct {
		events []watch.Event
		right  int
		since  int // the event since which all are right, counted from 1
	}{
		"nothing yet":                    {nil, 0, 0},
		"one is missing":                 {[]watch.Event{sliceEvent(watch.Added, "s", "a")}, 1, 0},
		"one is not ready":               {[]watch.Event{sliceEvent(watch.Added, "s", "a", "!b")}, 1, 0},
		"both, then a word about others": {[]watch.Event{sliceEvent(watch.Added, "s", "a", "b"), sliceEvent(watch.Added, "t", "x")}, 2, 1},
		"one again after it was not":     {[]watch.Event{sliceEvent(watch.Added, "s", "a", "!b"), sliceEvent(watch.Modified, "s", "a", "b")}, 2, 2},
		"one has moved":                  {[]watch.Event{sliceEvent(watch.Added, "s", "a", "b"), sliceEvent(watch.Added, "t", "b"), sliceEvent(watch.Modified, "s", "a")}, 2, 1},
		"one is gone":                    {[]watch.Event{sliceEvent(watch.Added, "s", "a", "b"), sliceEvent(watch.Modified, "s", "a")}, 1, 0},
		"their slice is gone":            {[]watch.Event{sliceEvent(watch.Added, "s", "a", "b"), sliceEvent(watch.Deleted, "s", "a", "b")}, 0, 0},
	} {
		w := newReadiness()
		w.want = map[string]bool{"a": true, "b": true}
		for i, event := range tc.events {
			w.note(event, base.Add(time.Duration(i+1)*time.Second))
		}
		right, all, since, err := w.progress()
		want := time.Time{}
		if tc.since > 0 {
			want = base.Add(time.Duration(tc.since) * time.Second)
		}
		if right != tc.right || all != 2 || !since.Equal(want) || err != nil {
			t.Errorf("%s: %d of %d since %v, %v; want %d since %v", name, right, all, since, err, tc.right, want)
		}
	}
}

func TestAChangeIsSeenWhenASliceHasIt(t *testing.T) {
	w := newReadiness()
	w.want = map[string]bool{"a": true, "b": true}
	w.note(sliceEvent(watch.Added, "s", "a", "b"), time.Now())
	one, other := w.turn("a"), w.turn("b")
	w.acknowledge(one)
	w.acknowledge(other)
	w.note(sliceEvent(watch.Modified, "s", "a", "b"), time.Now()) // of something else
	if !w.pending("a") {
		t.Error("a slice in which the pod is as it was counts as its change")
	}
	w.note(sliceEvent(watch.Modified, "s", "!a", "b"), one.acknowledged.Add(3*time.Second))
	w.note(sliceEvent(watch.Modified, "s", "!a", "b"), one.acknowledged.Add(4*time.Second))
	got, unseen := w.latencies([]*changed{one, other}, other.acknowledged.Add(time.Minute))
	if diff := cmp.Diff([]time.Duration{3 * time.Second, time.Minute}, got); diff != "" || unseen != 1 {
		t.Errorf("%d unseen, want 1; latencies (-want +got):\n%s", unseen, diff)
	}
	if w.pending("a") || !w.pending("b") {
		t.Error("b alone should be waited for")
	}
	if right, _, since, _ := w.progress(); right != 1 || !since.IsZero() {
		t.Errorf("%d are right since %v, want one", right, since)
	}
}

func TestEachServiceHasItsTurnAndPodsThatAreWaitedForAreLeftOut(t *testing.T) {
	h := &hamlet{services: 2, large: 1}
	w := newReadiness()
	for _, name := range []string{"a0", "b0", "a1", "b1", "large"} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
		h.pods = append(h.pods, pod)
		w.want[name] = true
	}
	w.turn("b0")
	var got []string
	for range 4 {
		got = append(got, h.next(w, false).Name)
	}
	if diff := cmp.Diff([]string{"a0", "a1", "b1", "a0"}, got); diff != "" {
		t.Errorf("turns (-want +got):\n%s", diff)
	}
	if pod := h.next(w, true); pod == nil || pod.Name != "large" {
		t.Errorf("the large Service's turn is %v", pod)
	}
	w.turn("large")
	if pod := h.next(w, true); pod != nil {
		t.Errorf("a pod that is waited for has its turn: %s", pod.Name)
	}
}

func TestWritesAreThoseOfSlicesEndpointsAndEvents(t *testing.T) {
	counter := func(resource, verb, code string, n float64) *dto.Metric {
		pair := func(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }
		return &dto.Metric{Label: []*dto.LabelPair{pair("code", code), pair("resource", resource), pair("verb", verb)}, Counter: &dto.Counter{Value: &n}}
	}
	got := writesIn(metrics{"apiserver_request_total": {Metric: []*dto.Metric{
		counter("endpointslices", "PUT", "200", 5), counter("endpointslices", "PUT", "409", 1), counter("endpointslices", "WATCH", "200", 7),
		counter("endpoints", "POST", "201", 2), counter("events", "PATCH", "200", 1), counter("pods", "PATCH", "200", 100), counter("endpoints", "LIST", "200", 3),
	}}})
	if diff := cmp.Diff(map[string]int{"endpointslices": 6, "endpoints": 2, "events": 1}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"endpoints": 1}, difference(map[string]int{"endpointslices": 6, "endpoints": 1}, map[string]int{"endpointslices": 6, "endpoints": 2})); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
}

func TestEndpointTargetsAreJudgedBesideEachPeer(t *testing.T) {
	with := func(name string, p99 float64) endpointsResult {
		return endpointsResult{
			Name: name, Services: endpointsSize, Large: endpointsSize,
			Fast: changesResult{Changes: 200, Latency: quantiles{Samples: 200, P99: p99}, Writes: map[string]int{"endpointslices": 200}},
		}
	}
	for name, tc := range map[string]struct {
		results []endpointsResult
		want    string
	}{
		"a fifth of both":           {[]endpointsResult{with(managerName, 10), with(unthrottledName, 50), with(throttledName, 5000)}, "met"},
		"a fifth of one only":       {[]endpointsResult{with(managerName, 10), with(unthrottledName, 49), with(throttledName, 5000)}, "NOT met"},
		"one peer was not measured": {[]endpointsResult{with(managerName, 10), with(throttledName, 5000)}, "met"},
		"nothing to compare with":   {[]endpointsResult{with(managerName, 10)}, "not judged"},
		"at another size": {[]endpointsResult{{Name: managerName, Services: 10, Large: endpointsSize, Fast: with("", 10).Fast},
			with(throttledName, 5000)}, "not judged"},
	} {
		r := report{Endpoints: tc.results}
		found := false
		for _, line := range r.endpointsGrid().lines {
			if line[0] == "pod Ready -> slice at 200/s, p99" {
				found = true
				if got := line[len(line)-1]; got != tc.want {
					t.Errorf("%s: %s, want %s", name, got, tc.want)
				}
			}
		}
		if !found {
			t.Fatal("the table has no such line")
		}
	}
}

func TestAShortRunTakesEveryFigureOfTheEndpointControllers(t *testing.T) {
	prereq.Root(t)
	page := filepath.Join(t.TempDir(), "page.md")
	got := shortRun(t, "-only=endpoints", "-endpoints=20", "-large=120", "-changes=1s", "-markdown="+page)
	var names []string
	for _, r := range got.Endpoints {
		names = append(names, r.Name)
		if !r.Cold.consistent() || r.Warm.consistent() == (r.Name == unthrottledName) {
			t.Errorf("%s: %d and %d of %d pods were in slices", r.Name, r.Cold.Right, r.Warm.Right, r.Cold.Pods)
		}
		everyFigureIsThere(t, r)
		if r.Cold.Writes["endpointslices"] < 22 || r.PeakBytes == 0 { // 20 and two of the large Service
			t.Errorf("%s: %+v", r.Name, r)
		}
	}
	if diff := cmp.Diff([]string{managerName, unthrottledName, throttledName}, names); diff != "" {
		t.Errorf("measured (-want +got):\n%s", diff)
	}
	text, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(text), "| pod Ready -> slice at 200/s, p50 | ms |") {
		t.Errorf("%v; the page:\n%s", err, text)
	}
}

func everyFigureIsThere(t *testing.T, r endpointsResult) {
	t.Helper()
	for i, s := range []startResult{r.Cold, r.Warm} {
		if s.Pods == 0 && r.Name == unthrottledName { // which is not started again
			continue
		}
		if s.Slices <= 0 || s.CPU <= 0 || s.PeakBytes <= 0 || s.Writes["endpointslices"] == 0 || s.Writes["endpoints"] == 0 {
			t.Errorf("%s: start %d lacks a figure: %+v", r.Name, i, s)
		}
	}
	for _, c := range []changesResult{r.Slow, r.Fast, r.InLarge} {
		if c.Changes == 0 || c.Latency.Samples != c.Changes || c.CPU <= 0 || c.Writes["endpointslices"] == 0 {
			t.Errorf("%s: changes lack a figure: %+v", r.Name, c)
		}
	}
}

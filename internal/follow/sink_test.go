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

package follow

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"
)

// recorder is a sink that writes down what it passes on.
func recorder() (s *sink[corev1.Service], taken func() []string) {
	var calls []string
	s = newSink(func(svc *corev1.Service) { calls = append(calls, "set "+svc.Name) },
		func(namespace, name string) { calls = append(calls, "remove "+namespace+"/"+name) })
	return s, func() []string {
		got := calls
		calls = nil
		slices.Sort(got)
		return got
	}
}

func service(name string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
}

func expect(t *testing.T, when string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatAListDoesNotHaveIsGone(t *testing.T) {
	s, taken := recorder()
	must(t, s.Replace([]any{service("a"), service("b")}, "1"))
	must(t, s.Add(service("c")))
	must(t, s.Delete(service("b")))
	expect(t, "at first", taken(), "remove shop/b", "set a", "set b", "set c")
	must(t, s.Replace([]any{service("c"), service("d")}, "2"))
	expect(t, "after the watch was broken", taken(), "remove shop/a", "set c", "set d")
	must(t, s.Replace([]any{service("c"), service("d")}, "3"))
	expect(t, "after the next time", taken(), "set c", "set d")
}

// What a Reflector does while the API server streams what exists.
func TestAStreamedObjectIsPassedOnAtOnceAndNotKept(t *testing.T) {
	s, taken := recorder()
	gathered := cache.NewStore(cache.DeletionHandlingMetaNamespaceKeyFunc, cache.WithTransformer(s.Transformer()))
	must(t, gathered.Add(service("a")))
	must(t, gathered.Add(service("b")))
	expect(t, "before the stream has ended", taken(), "set a", "set b")
	if s.full.Load() {
		t.Error("everything was there before the end of the stream")
	}
	for _, kept := range gathered.List() {
		if _, name := kept.(cache.ObjectName); !name {
			t.Errorf("a %T is kept in memory", kept)
		}
	}
	must(t, gathered.Delete(service("a"))) // gone before the end
	must(t, s.Replace(gathered.List(), "1"))
	expect(t, "at the end of the stream", taken(), "remove shop/a")
	if !s.full.Load() {
		t.Error("not everything was there after the end")
	}
}

func TestAStreamThatBreaksLeavesNothingBehind(t *testing.T) {
	s, taken := recorder()
	stream := func() cache.Store {
		return cache.NewStore(cache.DeletionHandlingMetaNamespaceKeyFunc, cache.WithTransformer(s.Transformer()))
	}
	must(t, stream().Add(service("a"))) // and a is deleted while there is no watch
	whole := stream()
	must(t, whole.Add(service("b")))
	must(t, s.Replace(whole.List(), "1"))
	expect(t, "calls", taken(), "remove shop/a", "set a", "set b")
}

func TestAnythingElseIsAnError(t *testing.T) {
	s, _ := recorder()
	if err := s.Add(&corev1.Node{}); err == nil {
		t.Error("a Node was taken for a Service")
	}
}

func TestASourceFollowsWhatMatches(t *testing.T) {
	client := fake.NewClientset(service("a"))
	sets, removed := make(chan string, 10), make(chan string, 10)
	source := New(client, "Services", client.CoreV1().Services(""), metav1.ListOptions{},
		func(svc *corev1.Service) { sets <- svc.Name }, func(namespace, name string) { removed <- namespace + "/" + name })
	if source.Full() {
		t.Error("full before it runs")
	}
	go source.Run(t.Context())
	if got := <-sets; got != "a" {
		t.Errorf("first is %s", got)
	}
	must(t, client.CoreV1().Services("shop").Delete(t.Context(), "a", metav1.DeleteOptions{}))
	if got := <-removed; got != "shop/a" || !source.Full() {
		t.Errorf("gone is %s, full %v", got, source.Full())
	}
}

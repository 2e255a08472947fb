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

package agent

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
)

// recorder is a sink that writes down what it passes on.
func recordingSink() (s *sink[corev1.Service], taken func() []string) {
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

func service(name string) *corev1.Service { return makeService(name, "10.96.0.1", 80, tcp) }

func TestWhatAListDoesNotHaveIsGone(t *testing.T) {
	s, taken := recordingSink()
	mustDo(t, s.Replace([]any{service("a"), service("b")}, "1"))
	mustDo(t, s.Add(service("c")))
	mustDo(t, s.Delete(service("b")))
	expect(t, "at first", taken(), []string{"remove default/b", "set a", "set b", "set c"})
	mustDo(t, s.Replace([]any{service("c"), service("d")}, "2"))
	expect(t, "after the watch was broken", taken(), []string{"remove default/a", "set c", "set d"})
}

// stream does what a Reflector does while the API server streams what exists.
func stream(t *testing.T, s *sink[corev1.Service], events func(cache.Store)) {
	t.Helper()
	gathered := cache.NewStore(cache.DeletionHandlingMetaNamespaceKeyFunc, cache.WithTransformer(s.Transformer()))
	events(gathered)
	mustDo(t, s.Replace(gathered.List(), "1"))
}

func TestAStreamedObjectIsPassedOnAtOnceAndNotKept(t *testing.T) {
	s, taken := recordingSink()
	stream(t, s, func(gathered cache.Store) {
		mustDo(t, gathered.Add(service("a")))
		mustDo(t, gathered.Add(service("b")))
		expect(t, "before the stream has ended", taken(), []string{"set a", "set b"})
		if s.full.Load() {
			t.Error("everything was there before the end of the stream")
		}
		for _, kept := range gathered.List() {
			if _, name := kept.(cache.ObjectName); !name {
				t.Errorf("a %T is kept in memory", kept)
			}
		}
		mustDo(t, gathered.Delete(service("a"))) // gone before the end
	})
	expect(t, "at the end of the stream", taken(), []string{"remove default/a"})
	if !s.full.Load() {
		t.Error("not everything was there after the end")
	}
}

func TestAStreamThatBreaksLeavesNothingBehind(t *testing.T) {
	s, taken := recordingSink()
	half := cache.NewStore(cache.DeletionHandlingMetaNamespaceKeyFunc, cache.WithTransformer(s.Transformer()))
	mustDo(t, half.Add(service("a"))) // and a is deleted while there is no watch
	stream(t, s, func(gathered cache.Store) { mustDo(t, gathered.Add(service("b"))) })
	expect(t, "calls", taken(), []string{"remove default/a", "set a", "set b"})
}

func TestAnythingElseIsAnError(t *testing.T) {
	s, _ := recordingSink()
	if err := s.Add(&corev1.Node{}); err == nil {
		t.Error("a Node was taken for a Service")
	}
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheLatencyOfASliceIsThatOfItsNewestCause(t *testing.T) {
	eps := func(at string) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "a", Annotations: map[string]string{corev1.EndpointsLastChangeTriggerTime: at},
		}}
	}
	tr := newTriggers(mustTime(t, "2026-01-01T12:00:00Z"))
	for _, step := range []struct{ at, want string }{
		{"2026-01-01T11:59:59Z", "never"}, // before our time
		{"2026-01-01T12:00:01Z", "12:00:01"},
		{"2026-01-01T12:00:01Z", "never"}, // written again for another reason
		{"2026-01-01T12:00:02.5Z", "12:00:02.5"},
		{"yesterday", "never"},
		{"", "never"},
	} {
		got := "never"
		if at := tr.of(eps(step.at)); !at.IsZero() {
			got = at.Format("15:04:05.999")
		}
		if got != step.want {
			t.Errorf("%q: %s, want %s", step.at, got, step.want)
		}
	}
	tr.forget("default", "a")
	if len(tr.last) != 0 {
		t.Error("a slice that is gone is remembered")
	}
}

// forbid lets a fake client refuse ServiceCIDRs.
func refuseServiceCIDRs(client *fake.Clientset, err error) {
	client.PrependReactor("list", "servicecidrs", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, err })
}

func TestServiceCIDRsAreFollowed(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		client := fake.NewClientset(&networkingv1.ServiceCIDR{
			ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/16", "fd00:10:96::/112"}},
		})
		w.Client = client
		source := w.serviceCIDRs(ctx)
		go source.run(ctx)
		synctest.Wait()
		if !source.full() {
			t.Fatal("the first list has not arrived")
		}
		w.begin(ctx)
		synctest.Wait()
		expect(t, "ranges", []string{fmt.Sprint(w.v4.node.ServiceCIDRs, w.v6.node.ServiceCIDRs)}, []string{"[10.96.0.0/16] [fd00:10:96::/112]"})
		more := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.97.0.0/24"}}}
		_, err := client.NetworkingV1().ServiceCIDRs().Create(ctx, more, metav1.CreateOptions{})
		mustDo(t, err)
		w.v6.takeCalls()
		synctest.Wait()
		expect(t, "with one more", []string{fmt.Sprint(w.v4.node.ServiceCIDRs)}, []string{"[10.96.0.0/16 10.97.0.0/24]"})
		expect(t, "calls of the other family", w.v6.takeCalls(), nil)
		mustDo(t, client.NetworkingV1().ServiceCIDRs().Delete(ctx, "kubernetes", metav1.DeleteOptions{}))
		synctest.Wait()
		expect(t, "without the first", []string{fmt.Sprint(w.v4.node.ServiceCIDRs, w.v6.node.ServiceCIDRs)}, []string{"[10.97.0.0/24] []"})
	})
}

func TestAnOldAPIServerHasNoServiceCIDRs(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		client := fake.NewClientset()
		refuseServiceCIDRs(client, apierrors.NewNotFound(schema.GroupResource{Group: "networking.k8s.io", Resource: "servicecidrs"}, ""))
		w.Client = client
		source := w.serviceCIDRs(ctx)
		go source.run(ctx)
		synctest.Wait()
		if !source.full() {
			t.Error("the start waits for what does not exist")
		}
	})
}

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
)

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
		go source.Run(ctx)
		synctest.Wait()
		if !source.Full() {
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
		go source.Run(ctx)
		synctest.Wait()
		if !source.Full() {
			t.Error("the start waits for what does not exist")
		}
	})
}

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
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// audited is an audit of numbers by a clock of its own.
type audited struct {
	*numberAudit
	t     *testing.T
	clock time.Time
}

func auditOf(t *testing.T, allocation bool, objects ...client.Object) *audited {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if allocation {
		if err := v1alpha1.AddToScheme(scheme); err != nil {
			t.Fatal(err)
		}
	}
	a := &audited{t: t, clock: judgedAt}
	a.numberAudit = newNumberAudit(DiagnosisOptions{Namespace: "switchyard-system", NodePorts: allocator.DefaultNodePorts, Allocation: allocation},
		fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build())
	a.now = func() time.Time { return a.clock }
	return a
}

// look returns when the next one is due, and the Services that it concerns.
func (a *audited) look() (time.Duration, map[string]bool) {
	a.t.Helper()
	a.clock = a.clock.Add(time.Minute)
	result, err := a.Reconcile(context.Background(), ctrl.Request{})
	if err != nil {
		a.t.Fatal(err)
	}
	changed := map[string]bool{}
	for len(a.changed) > 0 {
		service := <-a.changed
		changed[service.Object.String()] = true
	}
	return result.RequeueAfter, changed
}

func (a *audited) isReady() bool {
	select {
	case <-a.ready:
		return true
	default:
		return false
	}
}

func withExternalIP(namespace, name string) *corev1.Service {
	return selecting(namespace, name, func(spec *corev1.ServiceSpec) {
		spec.ExternalIPs, spec.Ports = []string{"198.51.100.7"}, []corev1.ServicePort{{Port: 80}}
	})
}

// What looks wrong once may be half made; what is mended is over at once.
func TestFindingsOfNumbersHaveToLast(t *testing.T) {
	for name, allocation := range map[string]bool{"with allocation": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			rival := withExternalIP("other", "rival")
			a := auditOf(t, allocation, withExternalIP("shop", "web"), rival)
			web := types.NamespacedName{Namespace: "shop", Name: "web"}
			if next, changed := a.look(); next != numbersSettle || len(changed)+len(a.of(web)) > 0 || a.isReady() {
				t.Fatalf("after one look: %v, next after %s, ready %t", changed, next, a.isReady())
			}
			next, changed := a.look()
			if diff := cmp.Diff(map[string]bool{"shop/web": true, "other/rival": true}, changed); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if next != numbersPace || len(a.of(web)) != 1 || !a.isReady() {
				t.Errorf("after the second: %v, next after %s, ready %t", a.of(web), next, a.isReady())
			}
			if _, changed := a.look(); len(changed) > 0 {
				t.Errorf("told again: %v", changed)
			}
			writer, _ := a.client.(client.Client)
			if err := writer.Delete(context.Background(), rival); err != nil {
				t.Fatal(err)
			}
			if _, changed := a.look(); len(changed) != 2 || len(a.of(web)) > 0 {
				t.Errorf("after it is mended: %v, %v", changed, a.of(web))
			}
		})
	}
}

func TestSoundNumbersAreKnownAtOnce(t *testing.T) {
	a := auditOf(t, true, withExternalIP("shop", "web"))
	if next, _ := a.look(); next != numbersPace || !a.isReady() {
		t.Errorf("next after %s, ready %t", next, a.isReady())
	}
}

// All Services are gone through, so looks are rare where that takes long.
func TestLooksAtNumbersTakeAShareOfTheTime(t *testing.T) {
	a := auditOf(t, true)
	began := a.clock
	a.now = func() time.Time { a.clock = a.clock.Add(time.Second); return a.clock }
	if _, err := a.Reconcile(context.Background(), ctrl.Request{}); err != nil {
		t.Fatal(err)
	}
	result, err := a.Reconcile(context.Background(), ctrl.Request{})
	if due := a.clock.Add(result.RequeueAfter).Sub(began); err != nil || due < numbersShare*time.Second {
		t.Errorf("%v: a look of a second is due again after %s", err, due)
	}
}

func TestWhichChangesOfAServiceMatterToNumbers(t *testing.T) {
	before := withExternalIP("shop", "web")
	for name, tc := range map[string]struct {
		change func(*corev1.Service)
		want   bool
	}{
		"a condition": {func(s *corev1.Service) { s.Status.Conditions = allWell() }, false},
		"a port":      {func(s *corev1.Service) { s.Spec.Ports[0].Port = 81 }, true},
		"an address of a load balancer": {func(s *corev1.Service) {
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "198.51.100.8"}}
		}, true},
		"a label, which pools select by": {func(s *corev1.Service) { s.Labels = map[string]string{"tier": "edge"} }, true},
		"another of its name":            {func(s *corev1.Service) { s.UID = "new" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			after := before.DeepCopy()
			tc.change(after)
			if got := numbersChange().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
	address := &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "10.96.0.9"}}
	if !numbersChange().Create(event.CreateEvent{Object: address}) {
		t.Error("what comes is left out")
	}
}

func TestACacheThatIsBehindIsKnown(t *testing.T) {
	for name, tc := range map[string]struct {
		version, wrote string
		want           bool
	}{
		"nothing was written": {"5", "", false},
		"before it":           {"99", "100", true},
		"the write itself":    {"100", "100", false},
		"after it":            {"101", "100", false},
		"no number":           {"x", "100", false},
	} {
		if got := behind(tc.version, tc.wrote); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

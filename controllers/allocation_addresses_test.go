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
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"switchyard.dev/switchyard/allocator"
)

func ipAddress(name, managedBy string, age time.Duration, parent networkingv1.ParentReference) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{networkingv1.LabelManagedBy: managedBy}, CreationTimestamp: metav1.NewTime(reservationTime.Add(-age)),
		},
		Spec: networkingv1.IPAddressSpec{ParentRef: &parent},
	}
}

func toService(name string) networkingv1.ParentReference {
	return networkingv1.ParentReference{Resource: "services", Namespace: "team", Name: name}
}

func TestRecordsOfClusterIPsAreCompared(t *testing.T) {
	reservation := networkingv1.ParentReference{Group: "switchyard.dev", Resource: "addressreservations", Name: "10.0.0.7"}
	web, other := allocator.Holder{Service: teamWeb}, allocator.Holder{Service: teamOther}
	for name, tc := range map[string]struct {
		users     []allocator.Holder
		object    *networkingv1.IPAddress
		parent    *allocator.Holder
		reason    string
		concerned string
		text      string
	}{
		"nothing at all":        {},
		"as it should be":       {users: []allocator.Holder{web}, object: ipAddress("10.0.0.7", serverManagedBy, 0, toService("web")), parent: &web},
		"a double, one is told": {users: []allocator.Holder{other, web}, object: ipAddress("10.0.0.7", serverManagedBy, 0, toService("web")), parent: &web},
		"no record": {
			users: []allocator.Holder{web}, reason: "ClusterIPNotAllocated", concerned: "team/web",
			text: "ClusterIP 10.0.0.7 of Service team/web has no IPAddress",
		},
		"the record names another that lives": {
			users: []allocator.Holder{web}, object: ipAddress("10.0.0.7", serverManagedBy, 0, toService("other")), parent: &other,
			reason: "IPAddressWrongReference", concerned: "team/web, team/other", text: "is that of Service team/web, but its IPAddress names Service team/other",
		},
		"the record names one that is gone": {
			users: []allocator.Holder{web}, object: ipAddress("10.0.0.7", serverManagedBy, 0, toService("other")),
			reason: "IPAddressWrongReference", concerned: "team/web", text: "names Service team/other",
		},
		"the record is ours": {
			users: []allocator.Holder{web}, object: ipAddress("10.0.0.7", "switchyard-manager", 0, reservation),
			reason: "IPAddressWrongReference", concerned: "team/web", text: "names addressreservations.switchyard.dev",
		},
		"a placeholder":                  {object: ipAddress("10.0.0.7", "switchyard-manager", time.Hour, reservation)},
		"a request under way":            {object: ipAddress("10.0.0.7", serverManagedBy, addressLeakAge, toService("web"))},
		"an update under way":            {object: ipAddress("10.0.0.7", serverManagedBy, addressLeakAge, toService("web")), parent: &web},
		"a leak":                         {object: ipAddress("10.0.0.7", serverManagedBy, addressLeakAge+time.Second, toService("web")), reason: "IPAddressNotAllocated", text: "names services team/web, which does not exist"},
		"a leak of a Service that lives": {object: ipAddress("10.0.0.7", serverManagedBy, addressLeakAge+time.Second, toService("web")), parent: &web, reason: "IPAddressWrongReference", concerned: "team/web", text: "which does not have it"},
	} {
		t.Run(name, func(t *testing.T) {
			facts := addressFacts{number: allocator.AddrNumber(netip.MustParseAddr("10.0.0.7")), object: tc.object, users: tc.users, parent: tc.parent, now: reservationTime}
			got := facts.find()
			text, concerned := "", ""
			if got.reason != "" {
				text, concerned = got.text("team"), strings.ReplaceAll(names("team", got.concerned), "Service ", "")
				if abroad := got.text("elsewhere"); len(got.concerned) > 0 && strings.Contains(abroad, "team/") {
					t.Errorf("the users of another namespace read %q", abroad)
				}
			}
			if got.reason != tc.reason || concerned != tc.concerned || !strings.Contains(text, tc.text) {
				t.Errorf("got %s of %s: %s", got.reason, concerned, text)
			}
		})
	}
}

// newAddresses runs on a fake API server whose cache and truth are the same, with
// a clock that the test moves.
func newAddresses(t *testing.T, objects ...client.Object) (*addressReconciler, *eventLog, *time.Time) {
	t.Helper()
	allocation, log := newAllocation(t, objects...)
	now := reservationTime
	return &addressReconciler{
		client: allocation.Client, live: allocation.Client, index: allocation.Index, recorder: log, now: func() time.Time { return now },
	}, log, &now
}

func lookAtAddress(t *testing.T, r *addressReconciler, name string) ctrl.Result {
	t.Helper()
	result, err := r.Reconcile(context.Background(), ctrl.Request{NamespacedName: types.NamespacedName{Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestAWrongReferenceIsReportedOnBothOnceItHasLasted(t *testing.T) {
	web, other := allocated("web", 1, "10.0.0.7", 30000), allocated("other", 2, "10.0.0.8", 30001)
	r, log, now := newAddresses(t, web, other, ipAddress("10.0.0.7", serverManagedBy, 0, toService("other")), ipAddress("10.0.0.8", serverManagedBy, 0, toService("other")))
	r.index.Observe(web)
	r.index.Observe(other)
	if result := lookAtAddress(t, r, "10.0.0.7"); result.RequeueAfter != addressGrace || log.taken() != nil {
		t.Errorf("at first sight: back in %v", result.RequeueAfter)
	}
	*now = now.Add(addressGrace)
	for range 2 {
		lookAtAddress(t, r, "10.0.0.7")
	}
	got := log.taken()
	if len(got) != 2 || !strings.HasPrefix(got[0], "other: IPAddressWrongReference: ClusterIP 10.0.0.7 is that of Service team/web") || !strings.HasPrefix(got[1], "web: IPAddressWrongReference") {
		t.Errorf("events: %q", got)
	}
	lookAtAddress(t, r, "10.0.0.8")
	*now = now.Add(addressGrace)
	if lookAtAddress(t, r, "10.0.0.8"); log.taken() != nil {
		t.Error("the address that is right was reported")
	}
}

func TestWhatTheServerRepairsInTimeIsNotReported(t *testing.T) {
	web := allocated("web", 1, "10.0.0.7", 30000)
	r, log, now := newAddresses(t, web)
	r.index.Observe(web)
	lookAtAddress(t, r, "10.0.0.7")
	if err := r.client.Create(context.Background(), ipAddress("10.0.0.7", serverManagedBy, 0, toService("web"))); err != nil {
		t.Fatal(err)
	}
	*now = now.Add(addressGrace)
	if lookAtAddress(t, r, "10.0.0.7"); log.taken() != nil {
		t.Error("it was reported")
	}
}

// The cache still has a Service of before, whose number has gone on to another;
// the IPAddress is read between the two.
func TestAServiceThatGoesWhileItIsLookedAtIsNoFinding(t *testing.T) {
	web, next := allocated("web", 1, "10.0.0.7", 30000), allocated("next", 3, "10.0.0.7", 30000)
	r, log, now := newAddresses(t, web)
	r.index.Observe(web)
	truth, _ := newAllocation(t, next)
	r.live = interceptor.NewClient(truth.Client.(client.WithWatch), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if _, ok := object.(*networkingv1.IPAddress); ok {
				defer r.index.Observe(next)
			}
			return c.Get(ctx, key, object, options...)
		},
	})
	lookAtAddress(t, r, "10.0.0.7")
	*now = now.Add(addressGrace)
	if lookAtAddress(t, r, "10.0.0.7"); log.taken() != nil {
		t.Error("it was reported")
	}
}

// A cache whose watch is broken does not tell the index of a Service that the API
// server's record names.
func TestAServiceThatNobodyHasToldTheIndexOfIsNoFinding(t *testing.T) {
	record := ipAddress("10.0.0.7", serverManagedBy, time.Hour, toService("web"))
	r, log, now := newAddresses(t, record)
	truth, _ := newAllocation(t, allocated("web", 1, "10.0.0.7", 30000), record.DeepCopy())
	r.live = truth.Client
	for _, known := range []*corev1.Service{nil, allocated("web", 0, "10.0.0.7", 30000)} {
		if known != nil { // and then of one of the name that is no more
			known.UID = "another"
			r.index.Observe(known)
		}
		lookAtAddress(t, r, "10.0.0.7")
		*now = now.Add(addressGrace)
		if lookAtAddress(t, r, "10.0.0.7"); log.taken() != nil {
			t.Errorf("it was reported, with %v in the index", known)
		}
	}
}

// portServer answers dry-runs as an API server that has some ports allocated.
func portServer(t *testing.T, taken ...int32) (*AllocationReconciler, *eventLog, *time.Time) {
	t.Helper()
	r, log := newAllocation(t)
	now := reservationTime
	r.Now, r.Namespace = func() time.Time { return now }, "system"
	r.Client = interceptor.NewClient(r.Client.(client.WithWatch), interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if len(options) != 1 || options[0] != client.DryRunAll || object.GetNamespace() != "system" {
				t.Errorf("a create that is no dry-run of ours: %s, %v", object.GetName(), options)
			}
			if port := object.(*corev1.Service).Spec.Ports[0].NodePort; slices.Contains(taken, port) {
				return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), "probe", field.ErrorList{
					field.Invalid(field.NewPath("spec", "ports").Index(0).Child("nodePort"), port, "provided port is already allocated"),
				})
			}
			return nil
		},
	})
	return r, log, &now
}

func TestAPortThatADoubleHasLeftFreeIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		taken []int32
		want  []string
	}{
		"left free": {nil, []string{"one: PortNotAllocated: Port 30000 of Service team/one counts as free since another Service " +
			"that had it is gone: another may get it until the API server's repair takes it again"}},
		"still taken": {[]int32{30000}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, log, now := portServer(t, tc.taken...)
			one, two := allocated("one", 1, "10.0.0.1", 30000), allocated("two", 2, "10.0.0.2", 30000)
			r.Index.Observe(one)
			r.Index.Observe(two)
			for _, key := range []types.NamespacedName{client.ObjectKeyFromObject(one), client.ObjectKeyFromObject(two)} {
				r.report(t.Context(), key)
			}
			log.taken()
			r.Index.Forget(client.ObjectKeyFromObject(two), two.UID)
			for _, partner := range r.report(t.Context(), client.ObjectKeyFromObject(two)) {
				r.report(t.Context(), partner)
			}
			if wait := r.probe(context.Background()); wait != probeDelay || log.taken() != nil {
				t.Errorf("asked again in %v: the server is not done yet", wait)
			}
			*now = now.Add(probeDelay)
			for range 2 {
				if wait := r.probe(context.Background()); wait != 0 {
					t.Errorf("asked again in %v", wait)
				}
			}
			if diff := cmp.Diff(tc.want, log.taken()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

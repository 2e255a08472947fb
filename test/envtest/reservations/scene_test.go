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

package reservations

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
	"switchyard.dev/switchyard/test/testenv/numbers"
)

// clock is the machine's, and what a test has added to it.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) advance(by time.Duration) { c.ahead.Add(int64(by)) }

// startManager runs a manager without webhooks. It returns what ends it.
func startManager(c *clock) (stop func()) {
	GinkgoHelper()
	return server.StartManager(numbers.Manager{Now: c.now}).Stop
}

// newKeeper is what a replica that serves webhooks has.
func newKeeper() *placeholder.Keeper { return server.Keeper() }

// claim makes the Lease with which a webhook begins a hand-over.
func claim(ctx context.Context, number allocator.Number, name string) *coordinationv1.Lease {
	GinkgoHelper()
	lease := allocator.ClaimLease(systemNamespace, allocator.Claim{
		Number: number, Service: client.ObjectKey{Namespace: "team-a", Name: name}, Created: time.Now(),
	}, "request")
	Expect(admin.Create(ctx, lease)).To(Succeed())
	return lease
}

func port(number int32) allocator.Number { return allocator.PortNumber(number) }

func addr(text string) allocator.Number { return allocator.AddrNumber(netip.MustParseAddr(text)) }

// reserve makes a reservation for a Service of team-a.
func reserve(ctx context.Context, number allocator.Number, name string, retain v1alpha1.Retain) {
	GinkgoHelper()
	ref := &v1alpha1.ServiceReference{Namespace: "team-a", Name: name}
	meta := metav1.ObjectMeta{Name: number.ReservationName()}
	if number.IsPort() {
		Expect(admin.Create(ctx, &v1alpha1.PortReservation{ObjectMeta: meta, Spec: v1alpha1.PortReservationSpec{ServiceRef: ref, Retain: retain}})).To(Succeed())
		return
	}
	Expect(admin.Create(ctx, &v1alpha1.AddressReservation{
		ObjectMeta: meta, Spec: v1alpha1.AddressReservationSpec{Address: number.String(), ServiceRef: ref, Retain: retain},
	})).To(Succeed())
}

// reservation is the object of a number, and its status.
func reservation(ctx context.Context, number allocator.Number) (client.Object, *v1alpha1.ReservationStatus, error) {
	key := client.ObjectKey{Name: number.ReservationName()}
	if number.IsPort() {
		var object v1alpha1.PortReservation
		err := admin.Get(ctx, key, &object)
		return &object, &object.Status, err
	}
	var object v1alpha1.AddressReservation
	err := admin.Get(ctx, key, &object)
	return &object, &object.Status, err
}

// becomes waits for a phase, and for a reason of the condition Held.
func becomes(ctx context.Context, number allocator.Number, phase v1alpha1.ReservationPhase, reason string) v1alpha1.ReservationStatus {
	GinkgoHelper()
	var last *v1alpha1.ReservationStatus
	Eventually(func() (string, error) {
		_, status, err := reservation(ctx, number)
		last = status
		held := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionHeld)
		if held == nil {
			return string(status.Phase), err
		}
		return fmt.Sprintf("%s %s", status.Phase, held.Reason), err
	}).Should(Equal(fmt.Sprintf("%s %s", phase, reason)), "reservation %s", number)
	return *last
}

// touch has a reservation looked at again, as time passing would. It may be gone
// by then, when something else had it looked at.
func touch(ctx context.Context, number allocator.Number) {
	GinkgoHelper()
	Eventually(func() error {
		object, _, err := reservation(ctx, number)
		if err != nil {
			return client.IgnoreNotFound(err)
		}
		object.SetAnnotations(map[string]string{"touched": time.Now().String()})
		return client.IgnoreNotFound(admin.Update(ctx, object))
	}).Should(Succeed())
}

func goes(ctx context.Context, number allocator.Number) {
	GinkgoHelper()
	Eventually(func() error {
		_, _, err := reservation(ctx, number)
		return err
	}).Should(MatchError(ContainSubstring("not found")), "reservation %s", number)
}

// held lists the numbers that placeholders hold.
func held(ctx context.Context) []string {
	GinkgoHelper()
	numbers, err := newKeeper().List(ctx)
	Expect(err).NotTo(HaveOccurred())
	var texts []string
	for _, number := range slices.SortedFunc(slices.Values(numbers), allocator.Number.Compare) {
		texts = append(texts, number.String())
	}
	return texts
}

// asking is a Service of team-b that asks for a number.
func asking(number allocator.Number) *corev1.Service {
	s := service("asks", number.Port)
	if !number.IsPort() {
		s = at(service("asks", 0), number.String())
	}
	s.Namespace = "team-b"
	return s
}

// refused checks that the API server gives the number to nobody.
func refused(ctx context.Context, numbers ...allocator.Number) {
	GinkgoHelper()
	for _, number := range numbers {
		Expect(admin.Create(ctx, asking(number))).To(MatchError(Or(ContainSubstring("already allocated"), ContainSubstring("reserved for"))), "%s is given", number)
	}
}

// given waits until the API server gives the number to whoever asks.
func given(ctx context.Context, numbers ...allocator.Number) {
	GinkgoHelper()
	for _, number := range numbers {
		s := asking(number)
		Eventually(admin.Create).WithArguments(ctx, s).Should(Succeed(), "%s is refused", number)
		Expect(admin.Delete(ctx, s)).To(Succeed())
	}
}

// events lists the Events with a reason, as "Kind name: note".
func events(ctx context.Context, reason string) []string {
	GinkgoHelper()
	var list eventsv1.EventList
	Expect(admin.List(ctx, &list)).To(Succeed())
	var lines []string
	for _, event := range list.Items {
		if event.Reason == reason {
			lines = append(lines, fmt.Sprintf("%s %s: %s", event.Regarding.Kind, event.Regarding.Name, event.Note))
		}
	}
	return lines
}

// clean deletes what a spec has made, with no manager running.
func clean(ctx context.Context) {
	GinkgoHelper()
	for _, object := range []client.Object{&v1alpha1.PortReservation{}, &v1alpha1.AddressReservation{}, &v1alpha1.PortPool{}, &v1alpha1.AddressPool{}} {
		Expect(admin.DeleteAllOf(ctx, object)).To(Succeed())
	}
	for _, namespace := range []string{"team-a", "team-b", systemNamespace} {
		Expect(admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace(namespace))).To(Succeed())
	}
	for _, namespace := range []string{"team-a", "team-b", "default"} {
		Expect(admin.DeleteAllOf(ctx, &eventsv1.Event{}, client.InNamespace(namespace))).To(Succeed())
	}
	Expect(admin.DeleteAllOf(ctx, &coordinationv1.Lease{}, client.InNamespace(systemNamespace))).To(Succeed())
	Expect(admin.DeleteAllOf(ctx, &networkingv1.IPAddress{}, client.MatchingLabels{networkingv1.LabelManagedBy: placeholder.ManagedBy})).To(Succeed())
	noRecords(ctx)
}

// noRecords waits until the server has no address but that of default/kubernetes
// on record. Its repair may have recorded one again for a Service that was just
// deleted, and takes such a record back only after a minute.
func noRecords(ctx context.Context) {
	GinkgoHelper()
	Eventually(func() []string {
		var addresses networkingv1.IPAddressList
		Expect(admin.List(ctx, &addresses)).To(Succeed())
		var names []string
		for i := range addresses.Items {
			record := &addresses.Items[i]
			names = append(names, record.Name)
			if parent := record.Spec.ParentRef; parent.Resource == "services" && parent.Namespace != metav1.NamespaceDefault {
				Expect(client.IgnoreNotFound(admin.Delete(ctx, record))).To(Succeed())
			}
		}
		return names
	}).Should(HaveLen(1), "there is more than the address of default/kubernetes")
}

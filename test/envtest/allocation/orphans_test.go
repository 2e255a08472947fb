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

package allocation

import (
	"context"
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Records of addresses that no Service has, made as the suite starts. They lie
// in no range, where they are in nobody's way.
const (
	leaked     = "192.0.2.60" // its Service has never been
	unfinished = "192.0.2.61" // its Service has another address, and might get this one yet
)

// recordOrphans makes both. The first is half a minute old when it is made, which
// the API server does not let anybody say, but etcd does.
func (c *cluster) recordOrphans(ctx context.Context) {
	GinkgoHelper()
	old := recordOf(leaked, networkingv1.ParentReference{Resource: "services", Namespace: "team-a", Name: "nobody"})
	old.UID, old.CreationTimestamp = "leaked", metav1.NewTime(time.Now().Add(-30*time.Second).Truncate(time.Second))
	value, err := json.Marshal(old)
	Expect(err).NotTo(HaveOccurred())
	c.putToEtcd("/registry/ipaddresses/"+leaked, value)

	kubernetes := &corev1.Service{}
	Eventually(func(g Gomega) { // the server goes by seconds, and takes one of the same for wrong at once
		g.Expect(c.admin.Get(ctx, client.ObjectKey{Namespace: "default", Name: "kubernetes"}, kubernetes)).To(Succeed())
		g.Expect(time.Since(kubernetes.CreationTimestamp.Time)).To(BeNumerically(">", time.Second))
	}).Should(Succeed())
	young := recordOf(unfinished, networkingv1.ParentReference{Resource: "services", Namespace: "default", Name: "kubernetes"})
	Expect(c.admin.Create(ctx, young)).To(Succeed())
	c.recorded = map[string]time.Time{leaked: old.CreationTimestamp.Time, unfinished: young.CreationTimestamp.Time}
}

func recordOf(ip string, parent networkingv1.ParentReference) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "IPAddress"},
		ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{
			networkingv1.LabelManagedBy: "ipallocator.k8s.io", networkingv1.LabelIPAddressFamily: "IPv4",
		}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &parent},
	}
}

// orphans are the rows about records that the server deletes, and not before
// their time: by its Event, against the age of the record.
func orphans(c *cluster) {
	DescribeTable("leaves a record without a Service alone for as long as a write may take, and then deletes it",
		func(ctx SpecContext, ip, note string, grace time.Duration) {
			Eventually(func() bool {
				return apierrors.IsNotFound(c.admin.Get(ctx, client.ObjectKey{Name: ip}, &networkingv1.IPAddress{}))
			}).Should(BeTrue())
			var event *eventsv1.Event
			Eventually(func(g Gomega) {
				var events eventsv1.EventList
				g.Expect(c.admin.List(ctx, &events)).To(Succeed())
				for i := range events.Items {
					if events.Items[i].Regarding.Name == ip {
						event = &events.Items[i]
					}
				}
				g.Expect(event).NotTo(BeNil(), "nobody has said that %s is deleted", ip)
			}).Should(Succeed())
			Expect(event.Reason + ": " + event.Note).To(Equal(note))
			Expect(event.EventTime.Sub(c.recorded[ip])).To(BeNumerically(">=", grace))
		},
		Entry("a minute where the Service has never been", leaked,
			"IPAddressNotAllocated: IPAddress: 192.0.2.60 for Service team-a/nobody appears to have leaked: cleaning up", time.Minute),
		Entry("five seconds where the Service has another address", unfinished,
			"IPAddressWrongReference: IPAddress: 192.0.2.61 for Service default/kubernetes has a wrong reference; cleaning up", 5*time.Second),
	)
}

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

package pools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// columns is what `kubectl get` prints of an object, the wide columns included.
// Its age goes on.
func columns(ctx context.Context, resource, name string) string {
	GinkgoHelper()
	clientset, err := kubernetes.NewForConfig(server.Config)
	Expect(err).NotTo(HaveOccurred())
	text, err := clientset.RESTClient().Get().AbsPath("/apis/switchyard.dev/v1alpha1/"+resource+"/"+name).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)
	Expect(err).NotTo(HaveOccurred())
	var table metav1.Table
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	Expect(decoder.Decode(&table)).To(Succeed())
	Expect(table.Rows).To(HaveLen(1))
	var cells []string
	for i, cell := range table.Rows[0].Cells {
		if header := table.ColumnDefinitions[i].Name; header != "Age" {
			cells = append(cells, fmt.Sprintf("%s=%v", header, cell))
		}
	}
	return strings.Join(cells, " ")
}

// conditionsOf are those of a pool, as "Type=Status Reason", and when they changed.
func conditionsOf(ctx context.Context, name string) (texts []string, changed map[string]metav1.Time) {
	GinkgoHelper()
	var pool v1alpha1.PortPool
	Expect(admin.Get(ctx, client.ObjectKey{Name: name}, &pool)).To(Succeed())
	changed = map[string]metav1.Time{}
	for _, c := range pool.Status.Conditions {
		texts = append(texts, fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason))
		changed[c.Type] = c.LastTransitionTime
	}
	return texts, changed
}

func version(ctx context.Context, object client.Object) string {
	GinkgoHelper()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	return object.GetResourceVersion()
}

var _ = Describe("The status of a pool", func() {
	inEachMode(func(s *scene) {
		It("counts what is given, kept and left, and kubectl shows it", func(ctx SpecContext) {
			s.portPool(ctx, "red-ports", v1alpha1.PortPoolSpec{
				Ranges: []v1alpha1.PortRange{"30010-30014", "31000"}, Priority: 3, NamespaceSelector: selecting("red"),
			})
			s.addressPool(ctx, "red-addresses", v1alpha1.AddressPoolSpec{
				Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.0.0.64/29"}, NamespaceSelector: selecting("red"),
			})
			ports := func(used, free int) string {
				return fmt.Sprintf(`Name=red-ports Ranges=["30010-30014","31000"] Priority=3 Auto=true Used=%d Free=%d Ready=True Conflicted=False`, used, free)
			}
			addresses := func(free int) string {
				return fmt.Sprintf(`Name=red-addresses Use=ClusterIP Addresses=["10.0.0.64/29"] Priority=0 Auto=true Disabled=<nil> IPv4 free=%d IPv6 free=0 Ready=True Conflicted=False`, free)
			}
			shows := func(used, free, freeAddresses int) {
				GinkgoHelper()
				Eventually(columns).WithArguments(ctx, "portpools", "red-ports").Should(Equal(ports(used, free)))
				Eventually(columns).WithArguments(ctx, "addresspools", "red-addresses").Should(Equal(addresses(freeAddresses)))
			}
			shows(0, 5, 8)

			web := nodePort("red", "web", 0)
			Expect(admin.Create(ctx, web)).To(Succeed())
			shows(1, 4, 7)

			By("a number that is reserved for somebody is neither used nor free")
			var left string
			for port := int32(30010); left == ""; port++ {
				if port != web.Spec.Ports[0].NodePort {
					left = fmt.Sprint(port)
				}
			}
			s.reserve(ctx, &v1alpha1.PortReservation{
				ObjectMeta: metav1.ObjectMeta{Name: left}, Spec: v1alpha1.PortReservationSpec{ServiceRef: serviceRef("red", "later")},
			})
			shows(1, 3, 7)
			var pool v1alpha1.PortPool
			Expect(admin.Get(ctx, client.ObjectKey{Name: "red-ports"}, &pool)).To(Succeed())
			pool.Status.Conditions = nil
			Expect(pool.Status).To(Equal(v1alpha1.PortPoolStatus{ObservedGeneration: 1, Capacity: 5, Allocated: 1, Reserved: 1, Free: 3}))

			Expect(admin.Delete(ctx, web)).To(Succeed())
			shows(0, 4, 8)
		})

		It("says of both what became of two that overlap, and changes only what has changed", func(ctx SpecContext) {
			s.portPool(ctx, "first", v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30010-30012"}, Priority: 9, NamespaceSelector: selecting("red")})
			second := s.portPool(ctx, "second", v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30012-30014"}, NamespaceSelector: selecting("blue")})
			far := s.portPool(ctx, "far", v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"40000"}, NamespaceSelector: selecting("blue")})
			says := func(name string, want ...string) map[string]metav1.Time {
				GinkgoHelper()
				Eventually(func() []string { texts, _ := conditionsOf(ctx, name); return texts }).Should(ConsistOf(want))
				_, changed := conditionsOf(ctx, name)
				return changed
			}
			says("first", "Ready=True Ready", "Conflicted=False NoOverlap")
			before := says("second", "Ready=True Ready", "Conflicted=True Overlaps")
			says("far", "Ready=False OutOfRange", "Conflicted=False NoOverlap")
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(second), second)).To(Succeed())
			Expect(meta.FindStatusCondition(second.Status.Conditions, v1alpha1.ConditionConflicted).Message).To(
				Equal("30012 belongs to PortPool first, which has precedence"))
			Expect(second.Status.Capacity).To(BeEquivalentTo(2))

			By("writing no pool that a change is not about")
			untouched := version(ctx, far)
			overlapped := before[v1alpha1.ConditionConflicted]
			Eventually(metav1.Now).Should(Satisfy(func(now metav1.Time) bool { return now.Unix() > overlapped.Unix() })) // times are in seconds
			changeRanges(ctx, second, "30013-30014")
			after := says("second", "Ready=True Ready", "Conflicted=False NoOverlap")
			Expect(after[v1alpha1.ConditionReady]).To(Equal(before[v1alpha1.ConditionReady]), "it was ready all the time")
			Expect(after[v1alpha1.ConditionConflicted].After(overlapped.Time)).To(BeTrue())
			Expect(version(ctx, far)).To(Equal(untouched))
		})
	})
})

// changeRanges gives a pool other ranges, whoever writes its status meanwhile.
func changeRanges(ctx context.Context, pool *v1alpha1.PortPool, ranges ...v1alpha1.PortRange) {
	GinkgoHelper()
	before := pool.DeepCopy()
	pool.Spec.Ranges = ranges
	Expect(admin.Patch(ctx, pool, client.MergeFrom(before))).To(Succeed())
}

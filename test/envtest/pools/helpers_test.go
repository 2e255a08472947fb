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
	"context"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// nodePort is a Service of type NodePort with one port; 0 asks for any.
func nodePort(namespace, name string, number int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"app": name},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, NodePort: number, Protocol: corev1.ProtocolTCP}},
		},
	}
}

func selecting(team string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}}
}

// portPool makes a pool and waits until the manager knows it.
func (s *scene) portPool(ctx context.Context, name string, spec v1alpha1.PortPoolSpec) *v1alpha1.PortPool {
	GinkgoHelper()
	pool := &v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	Expect(admin.Create(ctx, pool)).To(Succeed())
	Eventually(func() []string { return s.poolNames() }).Should(ContainElement(name))
	return pool
}

func (s *scene) addressPool(ctx context.Context, name string, spec v1alpha1.AddressPoolSpec) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})).To(Succeed())
	Eventually(func() []string { return s.poolNames() }).Should(ContainElement(name))
}

func (s *scene) poolNames() []string {
	var names []string
	for _, pool := range s.index.PortPools() {
		names = append(names, pool.Name)
	}
	for _, pool := range s.index.AddrPools() {
		names = append(names, pool.Name)
	}
	return names
}

// reserve makes a reservation, and waits until its number is held.
func (s *scene) reserve(ctx context.Context, object client.Object) allocator.Number {
	GinkgoHelper()
	Expect(admin.Create(ctx, object)).To(Succeed())
	number, err := allocator.ParseReservationName(object.GetName())
	Expect(err).NotTo(HaveOccurred())
	Eventually(s.keeper.Holds).WithArguments(ctx, number).Should(BeTrue())
	return number
}

func serviceRef(namespace, name string) *v1alpha1.ServiceReference {
	return &v1alpha1.ServiceReference{Namespace: namespace, Name: name}
}

func (s *scene) claims(ctx context.Context) []string {
	GinkgoHelper()
	var leases coordinationv1.LeaseList
	Expect(admin.List(ctx, &leases, client.InNamespace(systemNamespace), client.HasLabels{allocator.ClaimLabel})).To(Succeed())
	var names []string
	for _, lease := range leases.Items {
		names = append(names, lease.Name)
	}
	return names
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// message is what kubectl prints of a refusal.
func message(err error) string {
	GinkgoHelper()
	Expect(err).To(HaveOccurred())
	var status apierrors.APIStatus
	Expect(err).To(BeAssignableToTypeOf(&apierrors.StatusError{}))
	status = err.(apierrors.APIStatus)
	return status.Status().Message
}

// clean deletes what a spec has made, and waits until all numbers are free.
func (s *scene) clean(ctx context.Context) {
	GinkgoHelper()
	for _, namespace := range []string{"red", "blue", "others"} {
		Expect(admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace(namespace))).To(Succeed())
	}
	for _, object := range []client.Object{
		&v1alpha1.PortPool{}, &v1alpha1.AddressPool{}, &v1alpha1.PortReservation{}, &v1alpha1.AddressReservation{},
	} {
		Expect(admin.DeleteAllOf(ctx, object)).To(Succeed())
	}
	Eventually(s.keeper.List).WithArguments(ctx).Should(BeEmpty(), "reservations are gone, what held their numbers is not")
	s.endClaims(ctx)
	Eventually(s.left).Should(BeZero(), "the index holds more than the address of default/kubernetes")
}

func (s *scene) endClaims(ctx context.Context) {
	GinkgoHelper()
	Expect(admin.DeleteAllOf(ctx, &coordinationv1.Lease{}, client.InNamespace(systemNamespace), client.HasLabels{allocator.ClaimLabel})).To(Succeed())
}

// left counts what the index has beside default/kubernetes.
func (s *scene) left() int {
	left := -1 + len(s.index.Reservations()) + len(s.poolNames())
	for _, stats := range s.index.Stats() {
		left += int(stats.Allocated)
	}
	return left
}

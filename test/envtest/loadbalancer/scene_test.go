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

package loadbalancer

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/balancer"
)

// scene is a namespace and the addresses that a spec has to itself:
// 198.18.N.0/24 and 2001:db8:0:N::/112.
type scene struct {
	context.Context
	namespace string
	n         int32
}

var scenes atomic.Int32

func newScene(ctx context.Context) scene {
	GinkgoHelper()
	s := scene{ctx, "", scenes.Add(1)}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}}
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	s.namespace = namespace.Name
	DeferCleanup(func(ctx SpecContext) {
		Expect(admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace(s.namespace))).To(Succeed())
		Expect(client.IgnoreNotFound(admin.DeleteAllOf(ctx, &v1alpha1.AddressPool{}, client.MatchingLabels{"scene": s.namespace}))).To(Succeed())
		Expect(client.IgnoreNotFound(admin.DeleteAllOf(ctx, &v1alpha1.AddressReservation{}, client.MatchingLabels{"scene": s.namespace}))).To(Succeed())
	})
	return s
}

// v4 and v6 are addresses of the scene.
func (s scene) v4(last int) string { return fmt.Sprintf("198.18.%d.%d", s.n, last) }
func (s scene) v6(last int) string { return fmt.Sprintf("2001:db8:0:%x::%x", s.n, last) }

// range4 and range6 are ranges of them.
func (s scene) range4(first, last int) string { return s.v4(first) + "-" + s.v4(last) }
func (s scene) range6(first, last int) string { return s.v6(first) + "-" + s.v6(last) }

// pool is one for the scene's namespace.
func (s scene) pool(name, ranges string, edits ...func(*v1alpha1.AddressPoolSpec)) *v1alpha1.AddressPool {
	GinkgoHelper()
	pool := &v1alpha1.AddressPool{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace + "-" + name, Labels: map[string]string{"scene": s.namespace}},
		Spec: v1alpha1.AddressPoolSpec{
			Use:               v1alpha1.UseLoadBalancer,
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}},
		},
	}
	for text := range strings.FieldsSeq(ranges) {
		pool.Spec.Addresses = append(pool.Spec.Addresses, v1alpha1.AddressRange(text))
	}
	for _, edit := range edits {
		edit(&pool.Spec)
	}
	Expect(admin.Create(s, pool)).To(Succeed())
	return pool
}

type edit = func(*corev1.Service)

// service is one of our class, with port 80 and without NodePorts.
func (s scene) service(name string, edits ...edit) *corev1.Service {
	GinkgoHelper()
	service := s.draft(name, edits...)
	Expect(admin.Create(s, service)).To(Succeed())
	return service
}

func (s scene) draft(name string, edits ...edit) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Annotations: map[string]string{}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: new(class), AllocateLoadBalancerNodePorts: new(false),
			Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Name: "a", Port: 80, Protocol: corev1.ProtocolTCP}},
		},
	}
	for _, edit := range edits {
		edit(service)
	}
	return service
}

func (s scene) update(name string, edits ...edit) {
	GinkgoHelper()
	change(s, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}, func(service *corev1.Service) {
		for _, edit := range edits {
			edit(service)
		}
	})
}

func (s scene) updatePool(pool *v1alpha1.AddressPool, edit func(*v1alpha1.AddressPoolSpec)) {
	GinkgoHelper()
	change(s, &v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: pool.Name}}, func(p *v1alpha1.AddressPool) { edit(&p.Spec) })
}

// change tries again until nobody else has written in between.
func change[T client.Object](ctx context.Context, object T, do func(T)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		do(object)
		return admin.Update(ctx, object)
	}).Should(Succeed())
}

func (s scene) remove(name string) {
	GinkgoHelper()
	Expect(admin.Delete(s, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}})).To(Succeed())
}

func (s scene) get(name string) *corev1.Service {
	GinkgoHelper()
	var service corev1.Service
	Expect(admin.Get(s, client.ObjectKey{Namespace: s.namespace, Name: name}, &service)).To(Succeed())
	return &service
}

// state is what a Service has and why it lacks the rest: ADDR+ADDR or REASON, or both.
func (s scene) state(name string) func() string {
	return func() string {
		var service corev1.Service
		if err := admin.Get(s, client.ObjectKey{Namespace: s.namespace, Name: name}, &service); err != nil {
			return err.Error()
		}
		parts := ingressOf(&service)
		switch condition := conditionOf(&service); {
		case condition == nil:
			parts = append(parts, "none")
		case condition.Status != metav1.ConditionTrue:
			parts = append(parts, condition.Reason)
		}
		return strings.Join(parts, "+")
	}
}

// list are the Services of the scene.
func (s scene) list() []corev1.Service {
	GinkgoHelper()
	var services corev1.ServiceList
	Expect(admin.List(s, &services, client.InNamespace(s.namespace))).To(Succeed())
	return services.Items
}

func conditionOf(service *corev1.Service) *metav1.Condition {
	for i := range service.Status.Conditions {
		if service.Status.Conditions[i].Type == v1alpha1.LoadBalancerAddressAssigned {
			return &service.Status.Conditions[i]
		}
	}
	return nil
}

// lease is the claim of an address, nil where there is none.
func (s scene) lease(addr string) *coordinationv1.Lease {
	GinkgoHelper()
	var leases coordinationv1.LeaseList
	Expect(admin.List(s, &leases, client.InNamespace(systemNamespace), client.HasLabels{balancer.AddressLabel})).To(Succeed())
	for i := range leases.Items {
		if found, ok := balancer.AddrOfLease(leases.Items[i].Name); ok && found.String() == addr {
			return &leases.Items[i]
		}
	}
	return nil
}

// holders are the names of the Services that an address is recorded for.
func (s scene) holders(addr string) func() string {
	return func() string {
		lease := s.lease(addr)
		if lease == nil {
			return "none"
		}
		claim, err := balancer.ClaimOf(lease)
		if err != nil {
			return err.Error()
		}
		var names []string
		for _, holder := range claim.Holders {
			names = append(names, holder.Service.Name)
		}
		return strings.Join(names, ",")
	}
}

// events are KIND REASON of a Service's, once each.
func (s scene) events(name string) func() []string {
	return s.told(name, func(e *eventsv1.Event) string { return e.Type + " " + e.Reason })
}

// notes are the texts of a Service's Events.
func (s scene) notes(name string) func() []string {
	return s.told(name, func(e *eventsv1.Event) string { return e.Note })
}

func (s scene) told(name string, what func(*eventsv1.Event) string) func() []string {
	return func() []string {
		var list eventsv1.EventList
		if err := admin.List(s, &list, client.InNamespace(s.namespace)); err != nil {
			return []string{err.Error()}
		}
		var found []string
		for i := range list.Items {
			if e := &list.Items[i]; e.Regarding.Name == name {
				found = append(found, what(e))
			}
		}
		return found
	}
}

// What Services are like.
var (
	dual = func(policy corev1.IPFamilyPolicy) edit {
		return func(s *corev1.Service) { s.Spec.IPFamilyPolicy = &policy }
	}
	preferDual  = dual(corev1.IPFamilyPolicyPreferDualStack)
	requireDual = dual(corev1.IPFamilyPolicyRequireDualStack)
)

func ipv6(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} }

func annotated(key, value string) edit {
	return func(s *corev1.Service) {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[key] = value
	}
}

func asking(addrs string) edit { return annotated(v1alpha1.LoadBalancerIPsAnnotation, addrs) }
func sharing(key string) edit  { return annotated(v1alpha1.SharingKeyAnnotation, key) }
func on(port int32) edit       { return func(s *corev1.Service) { s.Spec.Ports[0].Port = port } }
func priority(p int32) func(*v1alpha1.AddressPoolSpec) {
	return func(s *v1alpha1.AddressPoolSpec) { s.Priority = p }
}

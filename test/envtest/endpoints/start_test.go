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

package endpoints

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"switchyard.dev/switchyard/controllers"
)

// probed is a manager whose readiness can be asked for.
type probed struct {
	ctrl.Manager
	check healthz.Checker
}

func (p *probed) AddReadyzCheck(_ string, check healthz.Checker) error {
	p.check = check
	return nil
}

func (p *probed) ready() error { return p.check(nil) }

// Serial: the lease and the rival's slice are the whole cluster's.
var _ = Describe("Another endpoint controller", Serial, func() {
	var slice *discoveryv1.EndpointSlice

	BeforeEach(func(ctx SpecContext) {
		s := newScene(ctx)
		rival := client.WithFieldOwner(direct, "kube-controller-manager")
		slice = &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web-abcde", Labels: map[string]string{
				discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: sliceController,
			}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints:   []discoveryv1.Endpoint{},
		}
		Expect(rival.Create(ctx, slice)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(api.Delete(ctx, slice))).To(Succeed()) })
	})

	// check is what a second manager asks before its controllers start.
	check := func(ctx context.Context, mode controllers.EndpointsMode) error {
		GinkgoHelper()
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return controllers.NewWriterGuard(newManager().GetAPIReader(), mode).Check(ctx)
	}

	lease := func(ctx context.Context, acquired, renewed time.Time) {
		GinkgoHelper()
		held := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "kube-controller-manager"},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity:       new("somebody"),
				LeaseDurationSeconds: new(int32(15)),
				AcquireTime:          &metav1.MicroTime{Time: acquired},
				RenewTime:            &metav1.MicroTime{Time: renewed},
			},
		}
		Expect(api.Create(ctx, held, client.FieldOwner("kube-controller-manager"))).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(api.Delete(ctx, held)).To(Succeed()) })
	}

	It("that has just written keeps ours from being ready and from writing, until it is gone", func(spec SpecContext) {
		stopControllers()
		DeferCleanup(func() { startControllers(controllers.EndpointsAll) })
		mgr := &probed{Manager: newManager()}
		Expect(controllers.SetupEndpoints(mgr, controllers.EndpointsAll, controllers.EndpointsOptions{})).To(Succeed())
		ctx, cancel := context.WithCancel(spec)
		ended := make(chan error, 1)
		go func() { ended <- mgr.Start(ctx) }()
		s := newScene(spec)
		s.service("late")
		Eventually(mgr.ready).Should(MatchError(And(
			ContainSubstring("EndpointSlice %s/web-abcde", slice.Namespace),
			ContainSubstring("kube-controller-manager"),
			ContainSubstring("--controllers=*,-endpoints-controller,-endpointslice-controller,-endpointslice-mirroring-controller"),
		)))
		Consistently(func() int { return len(s.slices("late")) }).Should(BeZero())
		Expect(ended).NotTo(Receive(), "the manager goes on")

		Expect(api.Delete(spec, slice)).To(Succeed())
		Eventually(mgr.ready).Should(Succeed())
		Eventually(func() int { return len(s.slices("late")) }).Should(Equal(1))
		cancel()
		Eventually(ended).Should(Receive(BeNil()))
	})

	It("does not matter to the mode that leaves its objects alone", func(ctx SpecContext) {
		Expect(check(ctx, controllers.EndpointsSelectorless)).To(Succeed())
	})

	It("is at work when it still holds the lease under which it wrote", func(ctx SpecContext) {
		lease(ctx, time.Now().Add(-time.Hour), time.Now())
		Expect(check(ctx, controllers.EndpointsAll)).To(MatchError(ContainSubstring("still written by")))
	})

	It("was restarted when the lease is younger than what it wrote", func(ctx SpecContext) {
		lease(ctx, time.Now().Add(time.Minute), time.Now().Add(time.Minute))
		Expect(check(ctx, controllers.EndpointsAll)).To(Succeed())
	})

	It("is gone when the lease has expired", func(ctx SpecContext) {
		lease(ctx, time.Now().Add(-time.Hour), time.Now().Add(-time.Minute))
		Expect(check(ctx, controllers.EndpointsAll)).To(Succeed())
	})

	It("is history once we have written the slice ourselves", func(ctx SpecContext) {
		update(ctx, slice, func(slice *discoveryv1.EndpointSlice) {
			slice.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}}}
		})
		Expect(slice.ManagedFields).To(ContainElement(HaveField("Manager", "kube-controller-manager")))
		Expect(check(ctx, controllers.EndpointsAll)).To(Succeed())
	})
})

var _ = Describe("A restart", Serial, func() {
	It("keeps every slice, sweeps Endpoints without a Service and still repairs", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		Eventually(s.addresses("web")).Should(HaveLen(1))
		before := s.slices("web")[0]
		object, err := s.endpointsObject("web")
		Expect(err).NotTo(HaveOccurred())

		stopControllers()
		s.handMade("orphan")
		s.handMade("lock", func(object *corev1.Endpoints) {
			object.Annotations = map[string]string{"control-plane.alpha.kubernetes.io/leader": "{}"}
		})
		s.pod("web-2", "web", "2")
		startControllers(controllers.EndpointsAll)

		Eventually(s.endpoints("web")).Should(HaveLen(2))
		Expect(s.slices("web")).To(ConsistOf(HaveField("UID", before.UID)))
		Eventually(s.addresses("web")).Should(HaveLen(2))
		after, err := s.endpointsObject("web")
		Expect(err).NotTo(HaveOccurred())
		Expect(after.UID).To(Equal(object.UID))
		Eventually(func() bool { _, err := s.endpointsObject("orphan"); return apierrors.IsNotFound(err) }).Should(BeTrue())
		_, err = s.endpointsObject("lock")
		Expect(err).NotTo(HaveOccurred())
	})

	It("notices the deletion of a slice it found and never wrote", func(ctx SpecContext) {
		s := newScene(ctx)
		s.service("web")
		s.pod("web-1", "web", "1")
		Eventually(s.endpoints("web")).Should(HaveLen(1))
		stopControllers()
		startControllers(controllers.EndpointsAll)
		// A Service created now is served after the ones found at the start.
		s.service("late")
		Eventually(func() int { return len(s.slices("late")) }).Should(Equal(1))
		slice := s.slices("web")[0]
		Expect(api.Delete(ctx, &slice)).To(Succeed())
		Eventually(s.endpoints("web")).Should(Equal([]endpoint{{"10.1.0.1", 8080, up}}))
	})

	It("in selectorless mode mirrors and leaves Services with a selector to others", func(ctx SpecContext) {
		stopControllers()
		startControllers(controllers.EndpointsSelectorless)
		DeferCleanup(func() {
			stopControllers()
			startControllers(controllers.EndpointsAll)
		})
		s := newScene(ctx)
		s.service("web")
		s.pod("web-1", "web", "1")
		s.service("db", noSelector)
		s.handMade("db")
		Eventually(s.endpoints("db")).Should(HaveLen(2))
		Consistently(func() int { return len(s.slices("web")) }).Should(BeZero())
		_, err := s.endpointsObject("web")
		Expect(apierrors.IsNotFound(err)).To(BeTrue())
	})
})

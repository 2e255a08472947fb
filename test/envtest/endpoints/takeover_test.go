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
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/test/testenv/process"
)

// These specs run the real kube-controller-manager: what we say about it, and
// that our objects are the same as its own, is not left to belief.
var _ = Describe("kube-controller-manager's own endpoint controllers", Serial, func() {
	It("keep ours from starting, and what they wrote is adopted without a single write", func(ctx SpecContext) {
		stopControllers()
		DeferCleanup(func(ctx SpecContext) {
			removeTraces(ctx)
			startControllers(controllers.EndpointsAll)
		})
		theirs := startKubeControllerManager()
		s := newScene(ctx)
		populate(s)
		Eventually(s.endpoints("named")).Should(HaveLen(3))
		Eventually(s.addresses("named")).Should(HaveLen(2))
		Eventually(s.endpoints("dual")).Should(HaveLen(2))
		Eventually(s.addresses("dual")).Should(HaveLen(1))
		Eventually(s.endpoints("db")).Should(HaveLen(3))
		Eventually(s.endpoints("bare")).Should(HaveLen(1))
		Eventually(s.addresses("bare")).Should(HaveLen(1))

		By("asking while they run")
		check := func() error {
			return controllers.NewWriterGuard(newManager().GetAPIReader(), controllers.EndpointsAll).Check(ctx)
		}
		Expect(check()).To(MatchError(And(ContainSubstring(`still written by "kube-controller-manager"`),
			ContainSubstring(": start kube-controller-manager with --controllers="))), "it is known by its lease")

		By("asking after a restart of kube-controller-manager without them")
		theirs.Kill()
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "kube-controller-manager"}}
		DeferCleanup(func(ctx SpecContext) { Expect(api.Delete(ctx, lease)).To(Succeed()) })
		Eventually(func() error {
			if err := direct.Get(ctx, client.ObjectKeyFromObject(lease), lease); err != nil {
				return err
			}
			lease.Spec.AcquireTime = &metav1.MicroTime{Time: time.Now().Add(2 * time.Second)}
			lease.Spec.RenewTime = lease.Spec.AcquireTime
			return direct.Update(ctx, lease, client.FieldOwner("kube-controller-manager"))
		}).Should(Succeed())
		Expect(check()).To(Succeed())

		By("taking over")
		before := versions(s)
		startControllers(controllers.EndpointsAll)
		DeferCleanup(stopControllers)
		s.service("late")
		Eventually(func() int { return len(s.slices("late")) }).Should(Equal(1))
		Eventually(func() error { _, err := s.endpointsObject("late"); return err }).Should(Succeed())
		Consistently(func() map[string]string {
			after := versions(s)
			for name := range after {
				if _, held := before[name]; !held {
					delete(after, name)
				}
			}
			return after
		}).Should(Equal(before))
	})
})

// populate makes Services of every kind that the controllers treat differently.
func populate(s scene) {
	GinkgoHelper()
	s.service("named", namedTarget("http"))
	s.pod("named-1", "named", "1", withPort("http", 8080))
	s.pod("named-2", "named", "2", withPort("http", 9090), onNode("node-b"))
	s.pod("named-3", "named", "3", notReady)
	s.service("dual", dualStack)
	s.pod("dual-1", "dual", "4", notReady)
	s.service("empty")
	s.service("bare", headless, func(spec *corev1.ServiceSpec) { spec.Ports = nil })
	s.pod("bare-1", "bare", "5", func(pod *corev1.Pod) { pod.Spec.Hostname, pod.Spec.Subdomain = "bare-1", "bare" })
	s.service("db", noSelector)
	s.handMade("db", func(object *corev1.Endpoints) {
		object.Subsets[0].NotReadyAddresses = []corev1.EndpointAddress{{IP: "fd00:2::1", Hostname: "six"}}
		object.Annotations = map[string]string{"note": "kept"}
	})
}

// versions are the resource versions of everything the controllers write.
func versions(s scene) map[string]string {
	GinkgoHelper()
	found := map[string]string{}
	var slices discoveryv1.EndpointSliceList
	Expect(api.List(s, &slices, client.InNamespace(s.namespace))).To(Succeed())
	for _, slice := range slices.Items {
		found["slice "+slice.Name] = slice.ResourceVersion
	}
	var objects corev1.EndpointsList
	Expect(api.List(s, &objects, client.InNamespace(s.namespace))).To(Succeed())
	for _, object := range objects.Items {
		found["endpoints "+object.Name] = object.ResourceVersion
	}
	return found
}

// removeTraces deletes what kube-controller-manager wrote, in any spec's namespace:
// without its lease, fresh writes would keep the other specs' controllers away.
func removeTraces(ctx context.Context) {
	GinkgoHelper()
	for _, list := range []client.ObjectList{&discoveryv1.EndpointSliceList{}, &corev1.EndpointsList{}} {
		Expect(api.List(ctx, list)).To(Succeed())
		Expect(meta.EachListItem(list, func(item runtime.Object) error {
			object := item.(client.Object)
			for _, entry := range object.GetManagedFields() {
				if entry.Manager == "kube-controller-manager" {
					return client.IgnoreNotFound(api.Delete(ctx, object))
				}
			}
			return nil
		})).To(Succeed())
	}
}

// startKubeControllerManager runs it with nothing but its endpoint controllers.
func startKubeControllerManager() *process.Process {
	GinkgoHelper()
	user, err := environment.AddUser(envtest.User{Name: "kcm", Groups: []string{"system:masters"}}, nil)
	Expect(err).NotTo(HaveOccurred())
	kubeconfig, err := user.KubeConfig()
	Expect(err).NotTo(HaveOccurred())
	path := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(os.WriteFile(path, kubeconfig, 0o600)).To(Succeed())
	return process.Run(GinkgoTB(), process.KubeControllerManager(path, "endpoints-controller,endpointslice-controller,endpointslice-mirroring-controller"), nil)
}

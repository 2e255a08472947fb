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

package admission

import (
	"context"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/cmd/manager/app"
	"switchyard.dev/switchyard/test/testenv"
)

// few is a cluster of few node ports, in which the API server soon draws the one
// that a spec is about.
type few struct {
	env   *envtest.Environment
	admin client.Client
}

var fewPorts = allocator.PortSpan{First: 30000, Last: 30004}

func startFew() *few {
	GinkgoHelper()
	environment, err := testenv.New()
	Expect(err).NotTo(HaveOccurred())
	environment.ControlPlane.GetAPIServer().Configure().Set("service-node-port-range", fewPorts.String())
	environment.WebhookInstallOptions.Paths = []string{patientWebhooks()}
	config, err := environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	config.QPS = -1
	admin, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	for _, name := range []string{systemNamespace, "shop"} {
		Expect(admin.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
	}
	return &few{environment, admin}
}

// serve runs a manager for as long as the spec runs.
func (f *few) serve(mode allocator.Mode) {
	GinkgoHelper()
	options := app.Options{}
	options.Defaults()
	options.Allocation, options.NodePorts = mode, fewPorts
	options.ProbeBindAddress = fmt.Sprintf("127.0.0.1:%d", freePort())
	installed := f.env.WebhookInstallOptions
	options.Webhooks.Host, options.Webhooks.Port, options.Webhooks.Dir = installed.LocalServingHost, installed.LocalServingPort, installed.LocalServingCertDir
	ctx, cancel := context.WithCancel(context.Background())
	manager := &running{cancel: cancel, done: make(chan error, 1)}
	go func() { manager.done <- app.Serve(ctx, f.env.Config, options) }()
	DeferCleanup(manager.stop)
	Eventually(ready).WithArguments(options.ProbeBindAddress).Should(Succeed())
	asked(f.admin)
}

func (f *few) create(name string, nodePort int32) (*corev1.Service, error) {
	svc := makeService("shop", name).nodePort(nodePort).Service
	return svc, f.admin.Create(context.Background(), svc)
}

// held makes a Service with a node port that the API server has lost sight of: an
// update which drops the port frees it before its write, and the write fails
// because another one is faster.
func (f *few) held(name string, number int32) *corev1.Service {
	GinkgoHelper()
	for range 100 {
		svc, err := f.create(name, number)
		Expect(err).NotTo(HaveOccurred())
		update := svc.DeepCopy()
		update.Spec.Type, update.Spec.Ports[0].NodePort = corev1.ServiceTypeClusterIP, 0
		if apierrors.IsConflict(f.amongOthers(update)) && f.lost(number) {
			return svc
		}
		Expect(f.admin.Delete(context.Background(), svc)).To(Succeed())
	}
	Fail("no update was lost between the release of the port and the write")
	return nil
}

// amongOthers updates a Service while others label it.
func (f *few) amongOthers(svc *corev1.Service) error {
	GinkgoHelper()
	var racing sync.WaitGroup
	for i := range 4 {
		racing.Go(func() {
			defer GinkgoRecover()
			for j := range 4 {
				label := fmt.Sprintf(`{"metadata":{"labels":{"racer-%d":"%d"}}}`, i, j)
				Expect(f.admin.Patch(context.Background(), makeService(svc.Namespace, svc.Name).Service,
					client.RawPatch("application/merge-patch+json", []byte(label)))).To(Succeed())
			}
		})
	}
	err := f.admin.Update(context.Background(), svc)
	racing.Wait()
	return err
}

// lost tells whether the API server would give the port to another Service.
func (f *few) lost(number int32) bool {
	GinkgoHelper()
	probe, err := f.create("probe", number)
	if err != nil {
		Expect(err).To(MatchError(ContainSubstring("provided port is already allocated")))
		return false
	}
	Expect(f.admin.Delete(context.Background(), probe)).To(Succeed())
	return true
}

var _ = Describe("X20, a node port that the API server has lost", Ordered, func() {
	const number = 30003
	const refusal = "Service shop/holder holds this port, though the API server gave it out again"
	var f *few
	var holder *corev1.Service

	BeforeAll(func() {
		f = startFew()
		holder = f.held("holder", number)
		for port := fewPorts.First; port <= fewPorts.Last; port++ {
			if port != number {
				_, err := f.create(fmt.Sprintf("taken-%d", port), port)
				Expect(err).NotTo(HaveOccurred())
			}
		}
	})

	It("is drawn for the next Service without us", func() {
		double, err := f.create("double", 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(double.Spec.Ports[0].NodePort).To(BeEquivalentTo(number))
		Expect(f.admin.Delete(context.Background(), double)).To(Succeed(), "this frees the port once more, while its holder still has it (U4)")
	})

	It("is refused in advisory mode, where the API server draws", func() {
		f.serve(allocator.Advisory)
		for range 3 {
			_, err := f.create("web", 0)
			Expect(err).To(beRefused("spec.ports[0].nodePort", "30003", refusal, "rule X20"))
		}
		By("also when an update asks for one")
		web := makeService("shop", "web").Service
		Expect(f.admin.Create(context.Background(), web)).To(Succeed())
		web.Spec.Type = corev1.ServiceTypeNodePort
		Expect(f.admin.Update(context.Background(), web)).To(beRefused(refusal))
		Expect(f.admin.Delete(context.Background(), web)).To(Succeed())
	})

	It("is refused in authoritative mode, where the mutating webhook is passed over", func() {
		f.serve(allocator.Authoritative)
		for _, configuration := range f.env.WebhookInstallOptions.MutatingWebhooks {
			Expect(f.admin.Delete(context.Background(), configuration)).To(Succeed())
		}
		// The API server notices a moment later.
		Eventually(func() error {
			_, err := f.create("web", 0)
			return err
		}).Should(beRefused(refusal))
	})

	It("is refused with the allocation off, also by number, until its holder is gone", func() {
		f.serve(allocator.Off)
		_, err := f.create("web", 0)
		Expect(err).To(beRefused(refusal))
		_, err = f.create("web", number)
		Expect(err).To(beRefused(refusal))
		Expect(f.admin.Delete(context.Background(), holder)).To(Succeed())
		web, err := f.create("web", 0)
		Expect(err).NotTo(HaveOccurred())
		Expect(web.Spec.Ports[0].NodePort).To(BeEquivalentTo(number))
	})
})

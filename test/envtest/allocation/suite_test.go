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
	"errors"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/test/testenv"
)

const (
	systemNamespace = "switchyard-system"
	webhookName     = "mservice.switchyard.dev"
)

// cluster is one API server with its etcd.
type cluster struct {
	addresses, ports string // the ranges it is started with

	environment *envtest.Environment
	cfg         *rest.Config
	admin       client.Client

	recorded map[string]time.Time // when each orphan was made
	stops    []func() error       // of what runs beside the environment
}

var (
	// Both families, and both bands in each range: of 10.0.0.0/27 the static one
	// is .1 to .16 and the dynamic one .17 to .30, of fd00:10::/112 the dynamic
	// one begins at ::101, and of the ports 30016-30019 are dynamic.
	dual = &cluster{addresses: "10.0.0.0/27,fd00:10::/112", ports: "30000-30019"}
	// One family, and ranges too small for bands.
	small = &cluster{addresses: "10.0.0.0/28", ports: "30000-30015"}
	// What becomes of it: another API server for the same objects, with a second
	// family and fewer ports, and kube-controller-manager.
	grown = &cluster{addresses: "10.0.0.0/28,fd00:11::/124", ports: "30000-30013"}
)

func TestAllocation(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(3 * time.Minute) // The machine may have other work.
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Allocation against a real API server")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	var starting sync.WaitGroup
	for _, c := range []*cluster{dual, small} {
		starting.Go(func() {
			defer GinkgoRecover()
			c.start(ctx)
		})
	}
	starting.Wait()
})

// What can not be stopped must not keep the rest running.
var _ = AfterSuite(func() {
	errs := []error{grown.end()}
	for _, c := range []*cluster{dual, small} {
		if c.environment != nil {
			errs = append(errs, c.environment.Stop())
		}
	}
	Expect(errors.Join(errs...)).NotTo(HaveOccurred())
})

func (c *cluster) start(ctx context.Context) {
	var err error
	c.environment, err = testenv.New()
	Expect(err).NotTo(HaveOccurred())
	c.environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", c.addresses).
		Set("service-node-port-range", c.ports)
	c.cfg, err = c.environment.Start()
	Expect(err).NotTo(HaveOccurred())
	c.admin, err = client.New(c.cfg, client.Options{Scheme: clientgoscheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	for _, name := range []string{systemNamespace, "team-a", "team-b"} {
		Expect(c.admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
	}
	c.recordOrphans(ctx)
}

// webhookConfiguration is what config/webhook installs, but that the API server waits
// for as long as it can: the machine may have other work, and what is not answered in
// time passes.
func webhookConfiguration() *admissionregistrationv1.MutatingWebhookConfiguration {
	path, ignore, sideEffects, timeout := "/mutate--v1-service", admissionregistrationv1.Ignore, admissionregistrationv1.SideEffectClassNoneOnDryRun, int32(30)
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: "switchyard"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:                    webhookName,
			AdmissionReviewVersions: []string{"v1"},
			FailurePolicy:           &ignore,
			SideEffects:             &sideEffects,
			TimeoutSeconds:          &timeout,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				Service: &admissionregistrationv1.ServiceReference{Namespace: systemNamespace, Name: "webhook", Path: &path},
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"}},
			}},
		}},
	}
}

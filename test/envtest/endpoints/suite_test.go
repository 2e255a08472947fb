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
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/test/testenv"
)

// The API server is shared; every spec has a namespace of its own.
var (
	environment *envtest.Environment
	restConfig  *rest.Config
	direct      client.Client
	api         client.Client
	stop        context.CancelFunc
	stopped     chan error
)

func TestEndpoints(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Endpoint controllers")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	logf.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	SetDefaultEventuallyTimeout(3 * time.Minute) // The machine may have other work.
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	SetDefaultConsistentlyDuration(500 * time.Millisecond)

	var err error
	environment, err = testenv.New()
	Expect(err).NotTo(HaveOccurred())
	environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", "10.0.0.0/24,fd00:10::/112")
	restConfig, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	direct, err = client.New(restConfig, client.Options{Scheme: clientgoscheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	// The specs play a person: the controllers must not take them for a rival.
	api = client.WithFieldOwner(direct, "kubectl-spec")
	for name, zone := range map[string]string{"node-a": "zone-a", "node-b": "zone-b"} {
		createNode(ctx, name, zone)
	}
	startControllers(controllers.EndpointsAll)
})

var _ = AfterSuite(func() {
	stopControllers()
	if restarted != nil {
		Expect(restarted.Process.Kill()).To(Succeed())
		_ = restarted.Wait()
	}
	if environment != nil {
		Expect(environment.Stop()).To(Succeed())
	}
})

func newManager() ctrl.Manager { return newManagerWith(restConfig, "0") }

func newManagerWith(config *rest.Config, metricsAddress string) ctrl.Manager {
	GinkgoHelper()
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  clientgoscheme.Scheme,
		Metrics: metricsserver.Options{BindAddress: metricsAddress},
		// Several managers run in this process, one after the other.
		Controller: ctrlconfig.Controller{SkipNameValidation: new(true)},
	})
	Expect(err).NotTo(HaveOccurred())
	return mgr
}

// quarantine is not what people wait for.
const quarantine = 500 * time.Millisecond

// startControllers returns when the controllers are at work.
func startControllers(mode controllers.EndpointsMode) {
	GinkgoHelper()
	start(newManager(), mode, controllers.EndpointsOptions{NodeQuarantine: quarantine})
}

func start(mgr ctrl.Manager, mode controllers.EndpointsMode, options controllers.EndpointsOptions) {
	GinkgoHelper()
	Expect(controllers.SetupEndpoints(mgr, mode, options)).To(Succeed())
	var ctx context.Context
	ctx, stop = context.WithCancel(context.Background())
	stopped = make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	// Every mode mirrors, and no worker starts before the guard has agreed: from
	// now on a spec may play the rival.
	s := newScene(ctx)
	s.service("started", noSelector)
	s.handMade("started")
	Eventually(s.endpoints("started")).Should(HaveLen(2))
}

// stopControllers does nothing if they are stopped.
func stopControllers() {
	GinkgoHelper()
	if stop == nil {
		return
	}
	stop()
	stop = nil
	Eventually(stopped).Should(Receive(BeNil()))
}

func createNode(ctx context.Context, name, zone string) {
	GinkgoHelper()
	Expect(api.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{corev1.LabelTopologyZone: zone},
	}})).To(Succeed())
}

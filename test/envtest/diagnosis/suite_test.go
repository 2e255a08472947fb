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

package diagnosis

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/cmd/manager/app"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/internal/localcluster/manifests"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/ports"
)

const systemNamespace = "switchyard-system"

// grace and pace are the suite's; a user's are longer.
const grace, pace = 500 * time.Millisecond, 200 * time.Millisecond

// The API server is shared; every spec has a namespace of its own.
var (
	env    *envtest.Environment
	api    client.Client
	faults faultyTransport
	halt   func()
)

func TestDiagnosis(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(3 * time.Minute) // The machine may have other work.
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	SetDefaultConsistentlyDuration(2 * (grace + pace)) // Whatever is wrong is written then.
	RunSpecs(t, "Conditions of Services")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	Expect(v1alpha1.AddToScheme(scheme.Scheme)).To(Succeed())
	var err error
	env, err = testenv.New()
	Expect(err).NotTo(HaveOccurred())
	env.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.0.0.0/24,fd00:10::/112")
	config, err := env.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(env.Stop)
	direct, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	api = client.WithFieldOwner(direct, "kubectl-spec")
	installRoles(ctx)
	for _, name := range []string{"node-a", "node-b"} {
		createNode(ctx, name)
	}
	startManager()
	DeferCleanup(func() { halt() })
})

// installRoles gives the manager's account the rights that it is installed with.
func installRoles(ctx context.Context) {
	GinkgoHelper()
	for document := range strings.SplitSeq(manifests.Install, "\n---\n") {
		object := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal([]byte(document), &object.Object)).To(Succeed())
		switch object.GetKind() {
		case "Service", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
			continue
		}
		Expect(client.IgnoreAlreadyExists(api.Create(ctx, object))).To(Succeed())
	}
}

// startManager runs the whole manager but its webhooks, in place of
// kube-controller-manager's endpoint controllers.
func startManager() {
	GinkgoHelper()
	startManagerWith(grace)
}

func startManagerWith(grace time.Duration) {
	GinkgoHelper()
	options := app.Options{}
	options.Defaults()
	options.Namespace = systemNamespace
	options.Webhooks.Enabled = false
	options.Endpoints = controllers.EndpointsAll
	options.DiagnosisGrace, options.DiagnosisPace = grace, pace
	options.ProbeBindAddress = freeAddress()
	Expect(options.Validate()).To(Succeed())

	config := rest.CopyConfig(env.Config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + systemNamespace + ":switchyard-manager",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + systemNamespace, "system:authenticated"},
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return faults.over(next) })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Serve(ctx, config, options) }()
	halt = func() {
		cancel()
		Eventually(done).Should(Receive(BeNil()))
	}
	Eventually(func() error {
		select {
		case err := <-done:
			return StopTrying("the manager stopped").Wrap(err)
		default:
		}
		response, err := http.Get("http://" + options.ProbeBindAddress + "/readyz")
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz says %s", response.Status)
		}
		return nil
	}).Should(Succeed())
}

func freeAddress() string {
	address, err := ports.Address()
	Expect(err).NotTo(HaveOccurred())
	return address
}

func createNode(ctx context.Context, name string) {
	GinkgoHelper()
	Expect(api.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
}

// faultyTransport answers writes of Services' status in place of the API server,
// as long as it is told to.
type faultyTransport struct {
	// left is how many writes are refused yet, with this code.
	left, code atomic.Int32
	writes     atomic.Int32
}

func (f *faultyTransport) over(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method != http.MethodPatch || !strings.Contains(request.URL.Path, "/services/") || !strings.HasSuffix(request.URL.Path, "/status") {
			return next.RoundTrip(request)
		}
		f.writes.Add(1)
		if f.left.Add(-1) < 0 {
			return next.RoundTrip(request)
		}
		recorder := http.Response{
			StatusCode: int(f.code.Load()), Header: http.Header{"Content-Type": {"application/json"}}, Request: request,
			Body: http.NoBody,
		}
		return &recorder, nil
	})
}

// refuse has the next writes answered with the code.
func (f *faultyTransport) refuse(code, times int32) {
	f.code.Store(code)
	f.left.Store(times)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

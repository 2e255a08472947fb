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
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/cmd/manager/app"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/ports"
	"switchyard.dev/switchyard/test/testenv/rights"
)

const (
	systemNamespace = "switchyard-system"
	managerAccount  = "switchyard-manager"
)

var (
	env      *envtest.Environment
	admin    *rest.Config
	api      client.Client
	warnings *warningLog
)

func TestAdmission(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(3 * time.Minute) // The machine may have other work.
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	rights.AskedBy(t, "test/envtest/admission", func() bool { return RunSpecs(t, "Admission") })
}

var _ = BeforeSuite(func() {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	Expect(v1alpha1.AddToScheme(scheme.Scheme)).To(Succeed())
	var err error
	env, err = testenv.New()
	Expect(err).NotTo(HaveOccurred())
	env.WebhookInstallOptions.Paths = []string{patientWebhooks()}
	admin, err = env.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(env.Stop)

	warnings = &warningLog{}
	user := rest.CopyConfig(admin)
	user.WarningHandler = warnings
	user.QPS = -1
	api, err = client.New(user, client.Options{Scheme: scheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	// A manager that is to write endpoints refuses to do so beside another
	// controller; people are none.
	api = client.WithFieldOwner(api, "kubectl")
	installRoles()
})

// patientWebhooks is a file with those of config/webhook, for which the API server
// waits for as long as it can: the machine may have other work, and what is not
// answered in time passes.
func patientWebhooks() string {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "config", "webhook", "manifests.yaml"))
	Expect(err).NotTo(HaveOccurred())
	patient := strings.ReplaceAll(string(text), "timeoutSeconds: 3\n", "timeoutSeconds: 30\n")
	Expect(patient).NotTo(Equal(string(text)))
	path := filepath.Join(GinkgoT().TempDir(), "webhooks.yaml")
	Expect(os.WriteFile(path, []byte(patient), 0o600)).To(Succeed())
	return path
}

// running is a manager that a spec can stop.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

// start runs the manager as its own account and waits until it is ready.
func start(change ...func(*app.Options)) *running {
	options := app.Options{}
	options.Defaults()
	options.Namespace = systemNamespace
	options.Allocation = allocator.Off
	options.ProbeBindAddress = fmt.Sprintf("127.0.0.1:%d", freePort())
	options.Webhooks.Host = env.WebhookInstallOptions.LocalServingHost
	options.Webhooks.Port = env.WebhookInstallOptions.LocalServingPort
	options.Webhooks.Dir = env.WebhookInstallOptions.LocalServingCertDir
	for _, c := range change {
		c(&options)
	}
	Expect(options.Validate()).To(Succeed())

	ctx, cancel := context.WithCancel(context.Background())
	manager := &running{cancel: cancel, done: make(chan error, 1)}
	go func() { manager.done <- app.Serve(ctx, account(managerAccount), options) }()
	Eventually(func() error {
		select {
		case err := <-manager.done:
			return StopTrying("the manager stopped").Wrap(err)
		default:
			return ready(options.ProbeBindAddress)
		}
	}).Should(Succeed())
	if options.Webhooks.Dir != "" { // it serves where the suite's configurations call
		asked(api)
	}
	return manager
}

// asked waits until calls of the API server reach a manager that is ready. The
// first may still be made on a connection to the one before, and what nobody
// answers passes.
func asked(user client.Client) {
	GinkgoHelper()
	probe := makeService(metav1.NamespaceDefault, "probe").external("10.0.0.2").Service
	Eventually(func() string {
		said, err := warnings.during(func() error { return dryRunAs(user, probe) })
		return fmt.Sprint(said, err)
	}).Should(ContainSubstring("rule X3"))
}

// stop ends the manager and waits for its last word.
func (r *running) stop() {
	r.cancel()
	Eventually(r.done).Should(Receive(BeNil()))
}

// account is a service account of the suite's own namespace, with no more
// rights than the roles give it.
func account(name string) *rest.Config {
	config := rest.CopyConfig(admin)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + systemNamespace + ":" + name,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + systemNamespace, "system:authenticated"},
	}
	return config
}

func ready(address string) error {
	response, err := http.Get("http://" + address + "/readyz?verbose")
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("readyz says %s", response.Status)
	}
	return nil
}

func freePort() int {
	port, err := ports.Free()
	Expect(err).NotTo(HaveOccurred())
	return port
}

// newNamespace gives each spec its own, because envtest never finishes
// deleting one.
func newNamespace(labels map[string]string) string {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "admission-", Labels: labels}}
	Expect(api.Create(context.Background(), namespace)).To(Succeed())
	return namespace.Name
}

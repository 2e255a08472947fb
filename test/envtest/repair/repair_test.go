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

package repair

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/internal/placeholder"
	"switchyard.dev/switchyard/test/testenv"
)

const systemNamespace = "switchyard-system"

var (
	environment *envtest.Environment
	admin       client.Client
	stop        = func() {}
)

func TestRepair(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(3 * time.Minute) // The machine may have other work.
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Repair against a real API server")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	var err error
	environment, err = testenv.New()
	Expect(err).NotTo(HaveOccurred())
	environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", "10.0.0.0/24").
		Set("storage-media-type", "application/json") // for setNodePort
	cfg, err := environment.Start()
	Expect(err).NotTo(HaveOccurred())
	admin, err = client.New(cfg, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	for _, name := range []string{systemNamespace, "team-a"} {
		Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
	}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	Expect(err).NotTo(HaveOccurred())
	index := allocator.NewServices(allocator.DefaultNodePorts)
	allocation := &controllers.AllocationReconciler{Index: index, Namespace: systemNamespace}
	Expect(allocation.SetupWithManager(mgr)).To(Succeed())
	running, cancel := context.WithCancel(context.Background())
	Expect((&controllers.Reservations{Index: index, Namespace: systemNamespace}).SetupWithManager(running, mgr)).To(Succeed())
	stopped := make(chan struct{})
	go func() {
		defer GinkgoRecover()
		defer close(stopped)
		Expect(mgr.Start(running)).To(Succeed())
	}()
	stop = func() {
		cancel()
		Eventually(stopped).Should(BeClosed())
	}
	Eventually(func() error { return allocation.ReadyCheck(nil) }).Should(Succeed())
})

var _ = AfterSuite(func() {
	stop()
	if environment != nil {
		Expect(environment.Stop()).To(Succeed())
	}
})

func service(name, ip string, nodePort int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: ip, Ports: []corev1.ServicePort{
			{Port: 80, NodePort: nodePort, Protocol: corev1.ProtocolTCP},
		}},
	}
}

func record(ip string, parent networkingv1.ParentReference) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{
			networkingv1.LabelIPAddressFamily: "IPv4", networkingv1.LabelManagedBy: "ipallocator.k8s.io",
		}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &parent},
	}
}

// events lists the Events of our controllers about an object, as "reason: note".
func events(ctx context.Context, name string) []string {
	GinkgoHelper()
	var list eventsv1.EventList
	Expect(admin.List(ctx, &list)).To(Succeed())
	var lines []string
	for _, event := range list.Items {
		if event.Regarding.Name == name && strings.HasPrefix(event.ReportingController, "switchyard") {
			lines = append(lines, event.Reason+": "+event.Note)
		}
	}
	return lines
}

// damage takes records of addresses away, and makes a wrong one. What the server
// has not looked at by then its repair makes again: then it is to be done again.
func damage(ctx context.Context) {
	GinkgoHelper()
	lose(ctx, "10.0.0.7")
	lose(ctx, "10.0.0.10")
	Eventually(func(g Gomega) {
		var now networkingv1.IPAddress
		err := admin.Get(ctx, client.ObjectKey{Name: "10.0.0.8"}, &now)
		if err == nil && now.Spec.ParentRef.Name == "nobody" {
			return
		}
		lose(ctx, "10.0.0.8")
		wrong := record("10.0.0.8", networkingv1.ParentReference{Resource: "services", Namespace: "team-a", Name: "nobody"})
		g.Expect(admin.Create(ctx, wrong)).To(Succeed())
	}).Should(Succeed())
}

func lose(ctx context.Context, ip string) {
	GinkgoHelper()
	Expect(client.IgnoreNotFound(admin.Delete(ctx, record(ip, networkingv1.ParentReference{})))).To(Succeed())
}

// damagedEvents keeps the damage until there are Events of it.
func damagedEvents(ctx context.Context, name string) []string {
	GinkgoHelper()
	damage(ctx)
	return events(ctx, name)
}

// etcd asks etcd's JSON gateway.
func etcd(method string, request, answer any) {
	GinkgoHelper()
	body, err := json.Marshal(request)
	Expect(err).NotTo(HaveOccurred())
	response, err := http.Post(environment.ControlPlane.Etcd.URL.String()+"/v3/kv/"+method, "application/json", bytes.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(response.Body.Close()).To(Succeed()) }()
	Expect(response.StatusCode).To(Equal(http.StatusOK))
	Expect(json.NewDecoder(response.Body).Decode(answer)).To(Succeed())
}

// setNodePort gives a Service a port that the API server would refuse it.
func setNodePort(name string, from, to string) {
	GinkgoHelper()
	key := base64.StdEncoding.EncodeToString([]byte("/registry/services/specs/team-a/" + name))
	var found struct{ Kvs []struct{ Value []byte } }
	etcd("range", map[string]string{"key": key}, &found)
	Expect(found.Kvs).To(HaveLen(1))
	value := strings.Replace(string(found.Kvs[0].Value), `"nodePort":`+from, `"nodePort":`+to, 1)
	Expect(value).To(ContainSubstring(`"nodePort":` + to))
	var done any
	etcd("put", map[string]string{"key": key, "value": base64.StdEncoding.EncodeToString([]byte(value))}, &done)
}

var _ = Describe("Repair", func() {
	clean := func(ctx SpecContext) {
		Expect(admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace("team-a"))).To(Succeed())
	}

	// All at once, since each of them is told only when it has lasted a while.
	Describe("of ClusterIPs", Ordered, func() {
		BeforeAll(func(ctx SpecContext) {
			for name, ip := range map[string]string{"lost": "10.0.0.7", "named": "10.0.0.8", "later": "10.0.0.10"} {
				Expect(admin.Create(ctx, service(name, ip, 0))).To(Succeed())
			}
			for i := range 20 {
				s := service("fleeting", "10.0.0.9", 30500)
				Eventually(func() error {
					err := admin.Create(ctx, s.DeepCopy())
					if err != nil {
						lose(ctx, "10.0.0.9")
					}
					return err
				}).Should(Succeed(), "round %d", i)
				Expect(admin.Delete(ctx, s)).To(Succeed())
			}
			damage(ctx)
		})

		It("tells one that has lost its IPAddress", func(ctx SpecContext) {
			Eventually(damagedEvents).WithArguments(ctx, "lost").Should(ConsistOf(
				HavePrefix("ClusterIPNotAllocated: ClusterIP 10.0.0.7 of Service team-a/lost has no IPAddress")))
		})

		It("tells an IPAddress that names another than the Service that has the ClusterIP", func(ctx SpecContext) {
			Eventually(damagedEvents).WithArguments(ctx, "named").Should(ConsistOf(
				HavePrefix("IPAddressWrongReference: ClusterIP 10.0.0.8 is that of Service team-a/named, but its IPAddress names Service team-a/nobody")))
		})

		It("says nothing about Services that come and go", func(ctx SpecContext) {
			Eventually(damagedEvents).WithArguments(ctx, "later").ShouldNot(BeEmpty(), "looked at after the others")
			Expect(events(ctx, "fleeting")).To(BeEmpty())
		})

		AfterAll(clean)
	})

	Describe("of NodePorts", func() {
		AfterEach(clean)

		It("tells both parties of a double port, and then that it was left free", func(ctx SpecContext) {
			Expect(admin.Create(ctx, service("one", "", 30100))).To(Succeed())
			Expect(admin.Create(ctx, service("two", "", 30101))).To(Succeed())
			setNodePort("two", "30101", "30100")
			Eventually(events).WithArguments(ctx, "one").Should(ContainElement(HavePrefix("PortAlreadyAllocated: Port 30100 is also held by Service team-a/two")))
			Eventually(events).WithArguments(ctx, "two").Should(ContainElement(HavePrefix("PortAlreadyAllocated: Port 30100 is also held by Service team-a/one")))
			Expect(admin.Delete(ctx, service("two", "", 0))).To(Succeed())
			Eventually(events).WithArguments(ctx, "one").Should(ContainElement(HavePrefix("PortNotAllocated: Port 30100 of Service team-a/one counts as free")))
		})

		It("tells a port that is out of range", func(ctx SpecContext) {
			Expect(admin.Create(ctx, service("far", "", 30200))).To(Succeed())
			setNodePort("far", "30200", "29000")
			Eventually(events).WithArguments(ctx, "far").Should(ContainElement(HavePrefix("PortOutOfRange: Port 29000 is not in 30000-32767")))
		})
	})

	It("takes away placeholders that hold for nobody", func(ctx SpecContext) {
		keeper := &placeholder.Keeper{Client: admin, Live: admin, Namespace: systemNamespace}
		for _, object := range []client.Object{
			placeholder.Ports(systemNamespace, 30300),
			placeholder.Address(allocator.Reservation{Number: allocator.AddrNumber(netip.MustParseAddr("10.0.0.77")), Object: "10.0.0.77"}),
		} {
			Expect(admin.Create(ctx, object)).To(Succeed())
		}
		Eventually(keeper.List).WithArguments(ctx).Should(BeEmpty())
	})
})

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
	"fmt"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// service is a Service with one TCP port per NodePort given; 0 asks for any.
func service(name string, kind corev1.ServiceType, nodePorts ...int32) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name},
		Spec:       corev1.ServiceSpec{Type: kind, Selector: map[string]string{"app": name}},
	}
	for i, nodePort := range nodePorts {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{
			Name: fmt.Sprintf("p%d", i), Protocol: corev1.ProtocolTCP, Port: int32(80 + i), NodePort: nodePort,
		})
	}
	return s
}

func nodePortsOf(s *corev1.Service) []int32 {
	var ports []int32
	for _, port := range s.Spec.Ports {
		ports = append(ports, port.NodePort)
	}
	return ports
}

// denial is how the write is denied once the message is the one wanted. Until
// the index has seen the holder by its watch, the API server denies the same
// write in its own words; that it succeeds is a failure at any time.
func denial(write func() error, message string) metav1.Status {
	GinkgoHelper()
	var err error
	Eventually(func() error {
		if err = write(); err == nil {
			StopTrying("the write was let through").Now()
		}
		return err
	}).Should(MatchError(ContainSubstring(message)))
	return err.(apierrors.APIStatus).Status()
}

// expectGiven checks that a Service has real, distinct numbers of its own.
func expectGiven(s *corev1.Service) {
	GinkgoHelper()
	Expect(s.Spec.ClusterIPs).NotTo(BeEmpty())
	for _, ip := range s.Spec.ClusterIPs {
		Expect(usable(netip.MustParseAddr(ip))).To(BeTrue(), "%s is not a usable address of the cluster", ip)
	}
	Expect(s.Spec.ClusterIP).To(Equal(s.Spec.ClusterIPs[0]))
	if s.Spec.Type == corev1.ServiceTypeClusterIP {
		return
	}
	for _, port := range nodePortsOf(s) {
		Expect(port).To(And(BeNumerically(">=", 30000), BeNumerically("<=", 30019)))
	}
}

func usable(addr netip.Addr) bool {
	return netip.MustParsePrefix("10.0.0.0/24").Contains(addr) && addr.As4()[3] != 0 && addr.As4()[3] != 255 ||
		netip.MustParsePrefix("fd00:10::/112").Contains(addr) && addr != netip.MustParseAddr("fd00:10::")
}

// claims lists the claims there are.
func claims(ctx context.Context) []string {
	GinkgoHelper()
	var leases coordinationv1.LeaseList
	Expect(admin.List(ctx, &leases, client.InNamespace(systemNamespace), client.HasLabels{allocator.ClaimLabel})).To(Succeed())
	var names []string
	for _, lease := range leases.Items {
		names = append(names, lease.Name)
	}
	return names
}

// clean deletes the Services and claims of a spec, and waits until the index has
// nothing but default/kubernetes: what is deleted is free again.
func clean(ctx context.Context, index *allocator.Services) {
	GinkgoHelper()
	for _, namespace := range []string{"team-a", "team-b"} {
		Expect(admin.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace(namespace))).To(Succeed())
	}
	Expect(admin.DeleteAllOf(ctx, &coordinationv1.Lease{}, client.InNamespace(systemNamespace), client.HasLabels{allocator.ClaimLabel})).To(Succeed())
	Eventually(func() (allocated []uint64) {
		for _, stats := range index.Stats() {
			allocated = append(allocated, stats.Allocated)
		}
		return allocated
	}).Should(Equal([]uint64{0, 1, 0}), "ports, IPv4 and IPv6 addresses still allocated")
}

// tenant is a user that may do anything with the Services of one namespace.
func tenant(ctx context.Context, name, namespace string) client.Client {
	GinkgoHelper()
	impersonated := rest.CopyConfig(cfg)
	impersonated.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	for _, object := range tenantRole(name, namespace) {
		Expect(client.IgnoreAlreadyExists(admin.Create(ctx, object))).To(Succeed())
	}
	c, err := client.New(impersonated, client.Options{Scheme: clientgoscheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// webhookAway runs what happens while the manager can not be reached.
func webhookAway(ctx context.Context, whatHappens func()) {
	GinkgoHelper()
	installed := environment.WebhookInstallOptions.MutatingWebhooks[0]
	Expect(admin.Delete(ctx, installed.DeepCopy())).To(Succeed())
	Eventually(answersDryRun).WithArguments(ctx).Should(BeFalse(), "the webhook is still called")
	defer func() {
		again := installed.DeepCopy()
		again.ObjectMeta = metav1.ObjectMeta{Name: again.Name}
		Expect(admin.Create(ctx, again)).To(Succeed())
		Eventually(answersDryRun).WithArguments(ctx).Should(BeTrue(), "the webhook is not called again")
	}()
	whatHappens()
}

// answersDryRun: the API server alone answers every dry-run with port 32769.
func answersDryRun(ctx context.Context) bool {
	probe := service("probe", corev1.ServiceTypeNodePort, 0)
	Expect(admin.Create(ctx, probe, client.DryRunAll)).To(Succeed())
	return probe.Spec.Ports[0].NodePort != 32769
}

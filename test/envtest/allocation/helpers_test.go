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
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

const (
	// What the stock server answers in a dry-run instead of numbers (A21).
	stockDryRunPort    = 32769
	stockDryRunAddress = "10.0.0.0"
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

// at asks for ClusterIPs by number, and for both families where there are two.
func at(s *corev1.Service, ips ...string) *corev1.Service {
	s.Spec.ClusterIP, s.Spec.ClusterIPs = ips[0], ips
	if len(ips) > 1 {
		s.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyRequireDualStack)
	}
	return s
}

// local makes a load balancer that needs a health check node port.
func local(s *corev1.Service, healthCheckNodePort int32) *corev1.Service {
	s.Spec.Type, s.Spec.ExternalTrafficPolicy = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal
	s.Spec.HealthCheckNodePort = healthCheckNodePort
	return s
}

func nodePortsOf(s *corev1.Service) []int32 {
	var ports []int32
	for _, port := range s.Spec.Ports {
		ports = append(ports, port.NodePort)
	}
	return ports
}

// numbersOf lists every number that a Service holds.
func numbersOf(s *corev1.Service) []allocator.Number {
	var numbers []allocator.Number
	for _, holding := range allocator.HoldingsOf(s) {
		numbers = append(numbers, holding.Number)
	}
	return numbers
}

func (s *scene) create(ctx context.Context, service *corev1.Service) {
	GinkgoHelper()
	Expect(s.admin.Create(ctx, service)).To(Succeed())
}

func (s *scene) update(ctx context.Context, service *corev1.Service) {
	GinkgoHelper()
	Expect(s.admin.Update(ctx, service)).To(Succeed())
}

// observed waits until the index has seen the Service; with a stock server there
// is nothing to wait for. What follows is then answered from the first attempt.
func (s *scene) observed(services ...*corev1.Service) {
	GinkgoHelper()
	if s.index == nil {
		return
	}
	for _, service := range services {
		for _, number := range numbersOf(service) {
			Eventually(func() (names []string) {
				for _, holder := range s.index.Holders(number) {
					names = append(names, holder.Service.Name)
				}
				return names
			}).Should(ContainElement(service.Name), "%s is not known to hold %s", service.Name, number)
		}
	}
}

// refusal is the status of a write that must fail, with a message like this.
func refusal(err error, message string) metav1.Status {
	GinkgoHelper()
	Expect(err).To(MatchError(ContainSubstring(message)))
	status, ok := err.(apierrors.APIStatus)
	Expect(ok).To(BeTrue(), "%v has no status", err)
	return status.Status()
}

// free checks that nobody holds the numbers: a Service can ask for each. The
// claim of who had it would only have the webhook wait for that one (releases
// has Services that do).
func (s *scene) free(ctx context.Context, numbers ...allocator.Number) {
	GinkgoHelper()
	for _, number := range numbers {
		claim := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: number.ObjectName()}}
		Expect(client.IgnoreNotFound(s.admin.Delete(ctx, claim))).To(Succeed())
		taker := service("taker", corev1.ServiceTypeClusterIP, 0)
		if number.IsPort() {
			taker = service("taker", corev1.ServiceTypeNodePort, number.Port)
		} else {
			at(taker, number.String())
		}
		s.createAfterOthers(ctx, taker)
		Expect(s.admin.Delete(ctx, taker)).To(Succeed())
	}
}

// createAfterOthers creates a Service with numbers that others have just let go.
func (s *scene) createAfterOthers(ctx context.Context, service *corev1.Service) {
	GinkgoHelper()
	err := s.admin.Create(ctx, service.DeepCopy())
	for _, number := range numbersOf(service) {
		if err != nil && !number.IsPort() && strings.Contains(err.Error(), number.String()) && s.resurrected(ctx, number) {
			err = s.admin.Create(ctx, service.DeepCopy())
		}
	}
	Expect(err).NotTo(HaveOccurred(), "%v are not free", numbersOf(service))
}

// resurrected tells whether the server's repair has recorded the address again
// for a Service that had just let it go, which its cache still showed with it
// (see the end of U in docs/allocation.md). The server says so in an Event, and would take the record back after a
// minute; here it is deleted at once.
func (s *scene) resurrected(ctx context.Context, number allocator.Number) bool {
	GinkgoHelper()
	Eventually(func() (notes []string) {
		var events eventsv1.EventList
		Expect(s.admin.List(ctx, &events, client.InNamespace("team-a"))).To(Succeed())
		for _, event := range events.Items {
			notes = append(notes, event.Note)
		}
		return notes
	}).Should(ContainElement(HaveSuffix(": %s is not allocated; repairing", number)), "%s is not free, nor is that the repair's doing", number)
	Expect(s.admin.Delete(ctx, &networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: number.String()}})).To(Succeed())
	return true
}

// expectClaims checks that we chose just these numbers, each once, where we are
// the ones to choose: what we leave open the server would fill in silently.
func (s *scene) expectClaims(ctx context.Context, numbers ...allocator.Number) {
	GinkgoHelper()
	names := []string{}
	for _, number := range numbers {
		if s.mode == allocator.Authoritative && !slices.Contains(names, number.ObjectName()) {
			names = append(names, number.ObjectName())
		}
	}
	Expect(s.claims(ctx)).To(ConsistOf(names))
}

// taken checks that somebody holds the numbers.
func (s *scene) taken(ctx context.Context, numbers ...allocator.Number) {
	GinkgoHelper()
	for _, number := range numbers {
		taker := service("taker", corev1.ServiceTypeNodePort, number.Port)
		if !number.IsPort() {
			taker = at(service("taker", corev1.ServiceTypeClusterIP, 0), number.String())
		}
		err := s.admin.Create(ctx, taker)
		Expect(err).To(MatchError(Or(ContainSubstring("already allocated"), ContainSubstring("held by"))), "%s is not taken", number)
	}
}

func port(number int32) allocator.Number { return allocator.PortNumber(number) }

func addr(text string) allocator.Number { return allocator.AddrNumber(netip.MustParseAddr(text)) }

// expectGiven checks that a Service has real numbers of its own.
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
	for _, number := range nodePortsOf(s) {
		Expect(number).To(And(BeNumerically(">=", 30000), BeNumerically("<=", 30019)))
	}
}

func usable(addr netip.Addr) bool {
	return netip.MustParsePrefix("10.0.0.0/27").Contains(addr) && addr.As4()[3] != 0 && addr.As4()[3] != 31 ||
		netip.MustParsePrefix("fd00:10::/112").Contains(addr) && addr != netip.MustParseAddr("fd00:10::")
}

// reread is the Service as the server has it now.
func (s *scene) reread(ctx context.Context, service *corev1.Service) *corev1.Service {
	GinkgoHelper()
	now := &corev1.Service{}
	Expect(s.admin.Get(ctx, client.ObjectKeyFromObject(service), now)).To(Succeed())
	return now
}

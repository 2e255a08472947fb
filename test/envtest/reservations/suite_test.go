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

package reservations

import (
	"fmt"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/test/testenv/numbers"
	"switchyard.dev/switchyard/test/testenv/rights"
)

const systemNamespace = numbers.Namespace

var (
	server *numbers.Server
	admin  client.Client
)

func TestReservations(t *testing.T) {
	RegisterFailHandler(Fail)
	rights.AskedBy(t, "test/envtest/reservations", func() bool { return RunSpecs(t, "Reservations against a real API server") })
}

var _ = BeforeSuite(func(ctx SpecContext) {
	// Small, so that it can be used up, with a static band of .1 to .16 from which
	// nobody is given an address who has not asked for it.
	server = numbers.StartServer(ctx, "10.0.0.0/26", "30000-30255", map[string]map[string]string{"team-a": nil, "team-b": nil})
	admin = server.Admin
})

// service is a Service of team-a, of type NodePort with one port per number;
// 0 asks for any, and 0 alone is a ClusterIP Service.
func service(name string, nodePorts ...int32) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"app": name}},
	}
	if len(nodePorts) == 1 && nodePorts[0] == 0 {
		s.Spec.Type = corev1.ServiceTypeClusterIP
	}
	for i, port := range nodePorts {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("p%d", i), Port: int32(80 + i), NodePort: port, Protocol: corev1.ProtocolTCP})
	}
	return s
}

// at asks for a ClusterIP by number.
func at(s *corev1.Service, ip string) *corev1.Service {
	s.Spec.ClusterIP, s.Spec.ClusterIPs = ip, []string{ip}
	return s
}

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

package serviceenv

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func service(namespace, name, ip string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
}

func port(number int32, protocol corev1.Protocol, name string) corev1.ServicePort {
	return corev1.ServicePort{Port: number, Protocol: protocol, Name: name}
}

// The rows N1 to N10 of the kubelet's environment, in its order.
func TestEnvironmentOfAService(t *testing.T) {
	for name, tc := range map[string]struct {
		service *corev1.Service
		want    []Variable
	}{
		"host, first port, links (N1 N2 N4-N8)": {
			service: service("ns", "redis-primary", "10.0.0.11", port(6379, "", "")),
			want: []Variable{
				{Name: "REDIS_PRIMARY_SERVICE_HOST", Value: "10.0.0.11"},
				{Name: "REDIS_PRIMARY_SERVICE_PORT", Value: "6379"},
				{Name: "REDIS_PRIMARY_PORT", Value: "tcp://10.0.0.11:6379"},
				{Name: "REDIS_PRIMARY_PORT_6379_TCP", Value: "tcp://10.0.0.11:6379"},
				{Name: "REDIS_PRIMARY_PORT_6379_TCP_PROTO", Value: "tcp"},
				{Name: "REDIS_PRIMARY_PORT_6379_TCP_PORT", Value: "6379"},
				{Name: "REDIS_PRIMARY_PORT_6379_TCP_ADDR", Value: "10.0.0.11"},
			},
		},
		"named ports (N3), IPv6 in brackets (N8)": {
			service: service("ns", "dns", "fd00::a", port(53, corev1.ProtocolUDP, "dns-udp"), port(54, corev1.ProtocolSCTP, "s")),
			want: []Variable{
				{Name: "DNS_SERVICE_HOST", Value: "fd00::a"},
				{Name: "DNS_SERVICE_PORT", Value: "53"},
				{Name: "DNS_SERVICE_PORT_DNS_UDP", Value: "53"},
				{Name: "DNS_SERVICE_PORT_S", Value: "54"},
				{Name: "DNS_PORT", Value: "udp://[fd00::a]:53"},
				{Name: "DNS_PORT_53_UDP", Value: "udp://[fd00::a]:53"},
				{Name: "DNS_PORT_53_UDP_PROTO", Value: "udp"},
				{Name: "DNS_PORT_53_UDP_PORT", Value: "53"},
				{Name: "DNS_PORT_53_UDP_ADDR", Value: "fd00::a"},
				{Name: "DNS_PORT_54_SCTP", Value: "sctp://[fd00::a]:54"},
				{Name: "DNS_PORT_54_SCTP_PROTO", Value: "sctp"},
				{Name: "DNS_PORT_54_SCTP_PORT", Value: "54"},
				{Name: "DNS_PORT_54_SCTP_ADDR", Value: "fd00::a"},
			},
		},
		"a name that begins with a digit is kept (N10)": {
			service: service("ns", "1st", "10.0.0.1", port(1, corev1.ProtocolTCP, "")),
			want: []Variable{
				{Name: "1ST_SERVICE_HOST", Value: "10.0.0.1"},
				{Name: "1ST_SERVICE_PORT", Value: "1"},
				{Name: "1ST_PORT", Value: "tcp://10.0.0.1:1"},
				{Name: "1ST_PORT_1_TCP", Value: "tcp://10.0.0.1:1"},
				{Name: "1ST_PORT_1_TCP_PROTO", Value: "tcp"},
				{Name: "1ST_PORT_1_TCP_PORT", Value: "1"},
				{Name: "1ST_PORT_1_TCP_ADDR", Value: "10.0.0.1"},
			},
		},
	} {
		if diff := cmp.Diff(tc.want, Of(tc.service), cmpopts.IgnoreFields(Variable{}, "Service")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Row N9, and which Services have an environment at all.
func TestServicesThatAPodSees(t *testing.T) {
	external := service("shop", "external", "10.0.0.9", port(80, "", ""))
	external.Spec.Type = corev1.ServiceTypeExternalName
	services := []*corev1.Service{
		service("default", "kubernetes", "10.0.0.1", port(443, "", "https")),
		service("default", "other", "10.0.0.2", port(80, "", "")),
		service("shop", "web", "10.0.0.3", port(80, "", "")),
		service("shop", "api", "10.0.0.4", port(80, "", "")),
		service("shop", "headless", corev1.ClusterIPNone, port(80, "", "")),
		service("shop", "unallocated", "", port(80, "", "")),
		external,
		service("custom", "kubernetes", "10.0.0.6", port(443, "", "")),
	}
	for name, tc := range map[string]struct {
		namespace string
		links     bool
		want      []string
	}{
		"with links: its namespace's and kubernetes":   {"shop", true, []string{"API=10.0.0.4", "KUBERNETES=10.0.0.1", "WEB=10.0.0.3"}},
		"without links: kubernetes alone":              {"shop", false, []string{"KUBERNETES=10.0.0.1"}},
		"in the default namespace":                     {"default", true, []string{"KUBERNETES=10.0.0.1", "OTHER=10.0.0.2"}},
		"a Service named kubernetes hides the cluster": {"custom", true, []string{"KUBERNETES=10.0.0.6"}},
		"but not without links":                        {"custom", false, []string{"KUBERNETES=10.0.0.1"}},
	} {
		var got []string
		for _, v := range For(services, tc.namespace, tc.links) {
			if host, ok := strings.CutSuffix(v.Name, "_SERVICE_HOST"); ok {
				got = append(got, host+"="+v.Value)
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

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

package webhooks

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// alsoOnNodePort adds a second port of the Service with the same number.
func alsoOnNodePort(protocol corev1.Protocol) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		more := svc.Spec.Ports[0]
		more.Protocol = protocol
		svc.Spec.Ports = append(svc.Spec.Ports, more)
	}
}

func localHealthCheck(number int32) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		healthCheck(number)(svc)
		svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}
}

func TestNodePortsThatAreHeld(t *testing.T) {
	tcp, udp := corev1.ProtocolTCP, corev1.ProtocolUDP
	world := &memory{services: []*corev1.Service{
		service("holder", onNodePort(30080, tcp)), service("health", localHealthCheck(30081)), service("web", onNodePort(30082, tcp)),
		service("was", onNodePort(30083, tcp), func(svc *corev1.Service) { svc.Spec.Type = corev1.ServiceTypeExternalName }),
	}}
	held := func(field, name string) wantVerdict {
		return wantVerdict{errors: []string{field + ": default/" + name +
			" holds this port, though the API server gave it out again; try again, or ask for another port (rule X20)"}}
	}
	for name, tc := range map[string]struct {
		old, new *corev1.Service
		want     wantVerdict
	}{
		"a node port of another": {new: service("web", onNodePort(30080, tcp)), want: held("spec.ports[0].nodePort: Invalid value: 30080", "holder")},
		"the other protocol is of the same Service or of none": {
			new: service("web", onNodePort(30080, udp)), want: held("spec.ports[0].nodePort: Invalid value: 30080", "holder")},
		"a number with two protocols is one": {
			new:  service("web", onNodePort(30080, tcp), alsoOnNodePort(udp)),
			want: held("spec.ports[0].nodePort: Invalid value: 30080", "holder")},
		"a health check's port": {new: service("web", onNodePort(30081, tcp)), want: held("spec.ports[0].nodePort: Invalid value: 30081", "health")},
		"for a health check": {
			new: service("web", localHealthCheck(30080)), want: held("spec.healthCheckNodePort: Invalid value: 30080", "holder")},
		"by a change of type": {
			old: service("web", onNodePort(30080, tcp), func(svc *corev1.Service) { svc.Spec.Type = corev1.ServiceTypeClusterIP }),
			new: service("web", onNodePort(30080, tcp)), want: held("spec.ports[0].nodePort: Invalid value: 30080", "holder")},
		"its own":           {new: service("web", onNodePort(30082, tcp))},
		"nobody's":          {new: service("web", onNodePort(30099, tcp))},
		"what is left over": {new: service("web", onNodePort(30083, tcp))},
		"what it had": {
			old: service("web", onNodePort(30080, tcp)), new: service("web", onNodePort(30080, tcp), selecting("app", "x"))},
		"what it had, for a further protocol": {
			old: service("web", onNodePort(30080, tcp)), new: service("web", onNodePort(30080, tcp), alsoOnNodePort(udp))},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateService(t.Context(), world, Severities{"X12": Off}, ServiceChange{Old: tc.old, New: tc.new})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

func TestAHolderOfANodePortIsConfirmed(t *testing.T) {
	held := onNodePort(30080, corev1.ProtocolTCP)
	c := cluster(t,
		[]client.Object{service("deleted", held), service("left", held), service("there", held)},
		[]client.Object{service("left"), service("there", held)})
	got, err := c.ServicesByNodePort(t.Context(), 30080)
	if err != nil || strings.Join(names(got), ",") != "there" {
		t.Errorf("%v, %v", names(got), err)
	}
}

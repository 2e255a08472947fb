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
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func ofType(kind corev1.ServiceType) func(*corev1.Service) {
	return func(svc *corev1.Service) { svc.Spec.Type = kind }
}

func alsoPort(number int32) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Name: "more", Port: number})
	}
}

func TestAddressesThatServicesAskFor(t *testing.T) {
	world := &memory{services: []*corev1.Service{
		service("holder", ingress("198.51.100.1")),
		service("waiting", requests("198.51.100.2")),
		service("content", requests("198.51.100.3"), ingress("198.51.100.4")),
	}}
	for name, tc := range map[string]struct {
		old, new *corev1.Service
		want     wantVerdict
	}{
		"X2: by becoming a load balancer": {
			old:  service("web", requests("198.51.100.1"), ofType(corev1.ServiceTypeClusterIP)),
			new:  service("web", requests("198.51.100.1")),
			want: wantVerdict{errors: []string{`spec.loadBalancerIP: Invalid value: "198.51.100.1": default/holder already serves port 80/TCP`}}},
		"X2: by a further port while it waits": {
			old:  service("web", requests("198.51.100.1"), port(443, corev1.ProtocolTCP)),
			new:  service("web", requests("198.51.100.1"), port(443, corev1.ProtocolTCP), alsoPort(80)),
			want: wantVerdict{errors: []string{"default/holder already serves port 80/TCP"}}},
		"X2: what another waits for": {
			new:  service("web", requests("198.51.100.2")),
			want: wantVerdict{errors: []string{"spec.loadBalancerIP: Invalid value: \"198.51.100.2\": default/waiting already waits for this address with port 80/TCP"}}},
		"another port of what another waits for": {new: service("web", requests("198.51.100.2"), port(443, corev1.ProtocolTCP))},
		"what a controller gives is not held up by one who waits": {
			old: service("web", ingress()), new: service("web", ingress("198.51.100.2"))},
		"nor is an external IP":                     {new: service("web", external("198.51.100.2"))},
		"who got another address waits no more":     {new: service("web", requests("198.51.100.3"))},
		"a Service that waits stays editable":       {old: service("web", requests("198.51.100.2")), new: service("web", requests("198.51.100.2"), selecting("app", "x"))},
		"and takes a further port that is free":     {old: service("web", requests("198.51.100.2")), new: service("web", requests("198.51.100.2"), alsoPort(8443))},
		"a wish means nothing for a ClusterIP":      {new: service("web", requests("198.51.100.1"), ofType(corev1.ServiceTypeClusterIP))},
		"a wish that was granted is judged no more": {old: service("web", requests("198.51.100.9")), new: service("web", requests("198.51.100.9"), ingress("198.51.100.9"))},
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

func TestWhoWaitsForAnAddressIsFound(t *testing.T) {
	objects := []client.Object{service("waiting", requests("198.51.100.2")), service("got", requests("198.51.100.2"), ingress("198.51.100.3"))}
	got, err := cluster(t, objects, objects).ServicesByVIP(t.Context(), netip.MustParseAddr("198.51.100.2"), everyService)
	if err != nil || strings.Join(names(got), ",") != "waiting" {
		t.Errorf("%v, %v", names(got), err)
	}
}

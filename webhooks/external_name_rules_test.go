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
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func alias(name string, ports ...int32) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		svc.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: name}
		for _, port := range ports {
			svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Port: port})
		}
	}
}

func TestExternalNamesLeadSomewhere(t *testing.T) {
	services := []*corev1.Service{
		service("real"), service("out", alias("example.org")),
		service("a", alias("b.default.svc.cluster.local")), service("b", alias("web.default.svc.cluster.local.")),
	}
	for i := range maxAliases + 1 {
		services = append(services, service(fmt.Sprintf("hop-%d", i), alias(fmt.Sprintf("hop-%d.default.svc.cluster.local", i+1))))
	}
	itself := wantVerdict{errors: []string{"this name leads each client to itself"}}
	for name, tc := range map[string]struct {
		old, new *corev1.Service
		domain   string
		want     wantVerdict
	}{
		"a name outside":              {new: service("web", alias("example.org", 443))},
		"a Service of the cluster":    {new: service("web", alias("real.default.svc.cluster.local"))},
		"a name that leads outside":   {new: service("web", alias("out.default.svc.cluster.local"))},
		"a Service that is not there": {new: service("web", alias("none.default.svc.cluster.local"))},
		"X15: localhost":              {new: service("web", alias("localhost")), want: itself},
		"X15: a name of localhost":    {new: service("web", alias("db.LOCALHOST.")), want: itself},
		"X15: the loopback address":   {new: service("web", alias("127.0.0.1")), want: itself},
		"X15: itself": {
			new:  service("web", alias("web.default.svc.cluster.local")),
			want: wantVerdict{errors: []string{"spec.externalName: Invalid value: \"web.default.svc.cluster.local\": this name leads to the Service itself"}}},
		"X15: a cycle": {
			new:  service("web", alias("a.default.svc.cluster.local")),
			want: wantVerdict{errors: []string{"default/b leads back to this Service, so neither is ever resolved"}}},
		"X15: a cycle by an update": {
			old: service("web"), new: service("web", alias("pod-0.b.default.svc.cluster.local")),
			want: wantVerdict{errors: []string{"default/b leads back"}}},
		"X15: a chain too long": {
			new:  service("web", alias("hop-0.default.svc.cluster.local")),
			want: wantVerdict{errors: []string{"more than 8 ExternalName Services"}}},
		"a chain just short enough": {new: service("web", alias("hop-2.default.svc.cluster.local"))},
		"X15: ports are not translated": {
			new:  service("web", alias("real.default.svc.cluster.local", 8080)),
			want: wantVerdict{warnings: []string{"those of spec.ports are not translated"}}},
		"another cluster's domain": {new: service("web", alias("web.default.svc.example.org"))},
		"X15: a domain of one's own": {
			new: service("web", alias("web.default.svc.example.org")), domain: "example.org",
			want: wantVerdict{errors: []string{"the Service itself"}}},
		"what was there before may stay": {old: service("web", alias("localhost")), new: service("web", alias("localhost", 80))},
	} {
		t.Run(name, func(t *testing.T) {
			world := &memory{services: services, domain: tc.domain}
			got, err := ValidateService(t.Context(), world, nil, ServiceChange{Old: tc.old, New: tc.new})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

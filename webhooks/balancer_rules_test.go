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
	"testing"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/api/v1alpha1"
)

func ofClass(class string) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		svc.Spec.Type, svc.Spec.LoadBalancerClass = corev1.ServiceTypeLoadBalancer, new(class)
	}
}

// sharing is of a namespace and asks to share with others.
func sharing(namespace, key, with string) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		svc.Namespace, svc.Spec.Type = namespace, corev1.ServiceTypeLoadBalancer
		svc.Annotations = map[string]string{v1alpha1.SharingKeyAnnotation: key, v1alpha1.SharingNamespacesAnnotation: with}
	}
}

func keptLocal(svc *corev1.Service) {
	svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
}

func TestLoadBalancersAreServedAndSharedByConsent(t *testing.T) {
	for name, tc := range map[string]struct {
		services []*corev1.Service
		old, new *corev1.Service
		want     wantVerdict
	}{
		"a class that is served": {new: service("web", ofClass("example.com/lb"))},
		"X17: a class nobody serves": {
			new:  service("web", ofClass("example.com/typo")),
			want: wantVerdict{warnings: []string{"spec.loadBalancerClass: no Service of this class has an address yet"}}},
		"a class that was there before": {old: service("web", ofClass("example.com/typo")), new: service("web", ofClass("example.com/typo"), port(81, corev1.ProtocolTCP))},

		"one key in one namespace": {
			services: []*corev1.Service{service("other", sharing("a", "k", ""))}, new: service("web", sharing("a", "k", ""))},
		"one key by chance": {
			services: []*corev1.Service{service("other", sharing("b", "k", ""))}, new: service("web", sharing("a", "k", ""))},
		"both consent": {
			services: []*corev1.Service{service("other", sharing("b", "k", "c, a"))}, new: service("web", sharing("a", "k", "b"))},
		"X18: the other does not": {
			services: []*corev1.Service{service("other", sharing("b", "k", "c"))}, new: service("web", sharing("a", "k", "b")),
			want: wantVerdict{warnings: []string{"metadata.annotations[switchyard.dev/sharing-namespaces]: b/other has this key and does not name this namespace"}}},
		"X18: only the other does": {
			services: []*corev1.Service{service("other", sharing("b", "k", "a"))}, new: service("web", sharing("a", "k", "")),
			want: wantVerdict{warnings: []string{"b/other has this key and names this namespace, but is not named in return"}}},
		"X18: both local, with other endpoints": {
			services: []*corev1.Service{service("other", sharing("a", "k", ""), keptLocal, selecting("app", "db"))},
			new:      service("web", sharing("a", "k", ""), keptLocal, selecting("app", "web")),
			want:     wantVerdict{warnings: []string{"spec.externalTrafficPolicy: a/other shares the address and has other endpoints"}}},
		"both local, with the same endpoints": {
			services: []*corev1.Service{service("other", sharing("a", "k", ""), keptLocal, selecting("app", "web"), port(81, corev1.ProtocolTCP))},
			new:      service("web", sharing("a", "k", ""), keptLocal, selecting("app", "web"))},
		"what was there before may stay": {
			services: []*corev1.Service{service("other", sharing("b", "k", "c"))},
			old:      service("web", sharing("a", "k", "b")), new: service("web", sharing("a", "k", "b"), port(81, corev1.ProtocolTCP))},
	} {
		t.Run(name, func(t *testing.T) {
			world := &memory{services: tc.services, classes: []string{"example.com/lb"}}
			got, err := ValidateService(t.Context(), world, Severities{"X12": Off}, ServiceChange{Old: tc.old, New: tc.new})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

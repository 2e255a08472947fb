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

package validation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestManifestUpdate(t *testing.T) {
	written := corev1.ServiceSpec{Ports: web().Spec.Ports}
	for name, tc := range map[string]struct {
		before *corev1.Service
		edit   func(s *corev1.ServiceSpec)
		want   []string
	}{
		"what the server gave is not missed": {before: web(), edit: func(*corev1.ServiceSpec) {}},
		"V20 another ClusterIP": {before: web(), edit: func(s *corev1.ServiceSpec) { s.ClusterIP = "10.0.0.9" }, want: []string{
			`spec.clusterIPs[0]: Invalid value: ["10.0.0.9"]: may not change once set`}},
		"V20 another ClusterIP beside the list that a patch keeps": {before: web(), edit: func(s *corev1.ServiceSpec) {
			s.ClusterIP, s.ClusterIPs = "10.0.0.9", web().Spec.ClusterIPs
		}, want: []string{`spec.clusterIPs[0]: Invalid value: ["10.0.0.9"]: may not change once set`}},
		"V20 headless": {before: web(), edit: func(s *corev1.ServiceSpec) { s.ClusterIP = "None" }, want: []string{
			`spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set`}},
		"V18 another first family": {before: web(), edit: func(s *corev1.ServiceSpec) { s.IPFamilies = []corev1.IPFamily{"IPv6"} }, want: []string{
			"spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`"}},
		"a second family": {before: web(), edit: func(s *corev1.ServiceSpec) { s.IPFamilyPolicy = new(corev1.IPFamilyPolicyPreferDualStack) }},
		"V19 one family less": {before: dual(), edit: func(s *corev1.ServiceSpec) { s.IPFamilies = []corev1.IPFamily{"IPv4"} }, want: []string{
			`spec.ipFamilyPolicy: Invalid value: "RequireDualStack": must be 'SingleStack' to release the secondary IP family`}},
		"one family less, as asked for": {before: dual(), edit: func(s *corev1.ServiceSpec) { s.IPFamilyPolicy = new(corev1.IPFamilyPolicySingleStack) }},
		"V14 another class": {before: balanced(), edit: func(s *corev1.ServiceSpec) {
			*s = balanced().Spec
			s.LoadBalancerClass = new("example.com/other")
		}, want: []string{`spec.loadBalancerClass: Invalid value: "example.com/other": may not change once set`}},
		"V16 another health check port": {before: balanced(), edit: func(s *corev1.ServiceSpec) {
			*s = balanced().Spec
			s.HealthCheckNodePort = 30002
		}, want: []string{`spec.healthCheckNodePort: Forbidden: field is immutable`}},
		"a health check port that is left out": {before: balanced(), edit: func(s *corev1.ServiceSpec) {
			*s = balanced().Spec
			s.HealthCheckNodePort = 0
		}},
		"A11 a load balancer no more": {before: balanced(), edit: func(s *corev1.ServiceSpec) {
			*s = balanced().Spec
			s.Type = corev1.ServiceTypeClusterIP
		}},
		"V12 a load balancer no more, with another NodePort": {before: balanced(), edit: func(s *corev1.ServiceSpec) {
			*s = balanced().Spec
			s.Type, s.Ports[0].NodePort = corev1.ServiceTypeClusterIP, 30009
		}, want: []string{"spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"}},
		"A12 an alias": {before: web(), edit: func(s *corev1.ServiceSpec) {
			*s = web().Spec
			s.Type, s.ExternalName = corev1.ServiceTypeExternalName, "db.example.com"
		}},
		"A12 an alias no more, with another ClusterIP": {before: aliased(), edit: func(s *corev1.ServiceSpec) { s.ClusterIP = "10.0.0.9" }},
	} {
		t.Run(name, func(t *testing.T) {
			after := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: tc.before.Name, Namespace: "default"}, Spec: *written.DeepCopy()}
			tc.edit(&after.Spec)
			given := after.DeepCopy()
			_, errs := ManifestUpdate(tc.before, after, Options{})
			wantErrors(t, errs, tc.want)
			if diff := cmp.Diff(given, after); diff != "" {
				t.Errorf("the manifest was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestManifestUpdateOfEndpoints(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "web", Namespace: "default", ResourceVersion: "1"}
	_, errs := ManifestEndpointsUpdate(&corev1.Endpoints{ObjectMeta: meta},
		&corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Subsets: []corev1.EndpointSubset{{}}}, Options{})
	wantErrors(t, errs, []string{"subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"})
	_, errs = ManifestEndpointSliceUpdate(&discoveryv1.EndpointSlice{ObjectMeta: meta, AddressType: discoveryv1.AddressTypeIPv4},
		&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "web"}, AddressType: discoveryv1.AddressTypeIPv6}, Options{})
	if len(errs) != 1 || errs[0].Field != "addressType" || errs[0].Type != field.ErrorTypeInvalid {
		t.Errorf("V31 another address type: %v", errs)
	}
}

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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

func writing(fields ...string) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		for _, text := range fields {
			svc.ManagedFields = append(svc.ManagedFields, metav1.ManagedFieldsEntry{FieldsV1: &metav1.FieldsV1{Raw: []byte(text)}})
		}
	}
}

func TestWhatTheServerChoseIsNotRefusedForItsPool(t *testing.T) {
	tcp := corev1.ProtocolTCP
	pools := NewPools([]allocator.PortPool{portPool("red", 31100, 31199, "red")}, []allocator.AddrPool{
		addrPool("internal", v1alpha1.UseClusterIP, "10.96.40.0", "10.96.40.255", "red"),
		addrPool("red", v1alpha1.UseExternalIP, "203.0.113.16", "203.0.113.31", "red"),
	})
	const nothing = `{"f:spec":{"f:type":{},"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}}`
	const number = `{"f:spec":{"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{},"f:nodePort":{}}}}}`
	reserved := []allocator.Reservation{{Number: allocator.PortNumber(31111), Object: "31111"}}
	for name, tc := range map[string]struct {
		svc  *corev1.Service
		want wantVerdict
	}{
		"a node port that was drawn": {
			svc:  service("web", onNodePort(31150, tcp), writing(nothing)),
			want: wantVerdict{warnings: []string{"spec.ports[0].nodePort: this belongs to PortPool red, which is not for this namespace; use a port that is in no PortPool, or leave the choice to the server; the API server chose it (rule X7)"}}},
		"a node port that was asked for": {
			svc: service("web", onNodePort(31150, tcp), writing(nothing, number)), want: wantVerdict{errors: []string{"rule X7"}}},
		"for another port alone": {
			svc:  service("web", onNodePort(31150, tcp), writing(`{"f:spec":{"f:ports":{"k:{\"port\":81,\"protocol\":\"TCP\"}":{"f:nodePort":{}}}}}`)),
			want: wantVerdict{warnings: []string{"rule X7"}}},
		"a health check that was drawn": {
			svc: service("web", healthCheck(31150), writing(nothing)), want: wantVerdict{warnings: []string{"rule X7"}}},
		"a health check that was asked for": {
			svc: service("web", healthCheck(31150), writing(`{"f:spec":{"f:healthCheckNodePort":{}}}`)), want: wantVerdict{errors: []string{"rule X7"}}},
		"a node port that was drawn and is reserved": {
			svc:  service("web", onNodePort(31111, tcp), writing(nothing)),
			want: wantVerdict{errors: []string{"reserved for nobody (PortReservation 31111); the API server chose it: try again (rule X7)"}}},
		"a ClusterIP that was drawn": {
			svc: service("web", clusterIP("10.96.40.7"), writing(nothing)), want: wantVerdict{warnings: []string{"rule X5"}}},
		"a ClusterIP that was asked for": {
			svc: service("web", clusterIP("10.96.40.7"), writing(`{"f:spec":{"f:clusterIP":{}}}`)), want: wantVerdict{errors: []string{"rule X5"}}},
		"ClusterIPs that were asked for": {
			svc: service("web", clusterIP("10.96.40.7"), writing(`{"f:spec":{"f:clusterIPs":{}}}`)), want: wantVerdict{errors: []string{"rule X5"}}},
		"a second ClusterIP that was drawn beside one that was asked for": {
			svc:  service("web", clusterIP("10.96.41.7", "10.96.40.7"), writing(`{"f:spec":{"f:clusterIP":{}}}`)),
			want: wantVerdict{warnings: []string{`spec.clusterIPs[1]: this belongs to AddressPool internal`}}},
		"an external IP is always asked for": {
			svc: service("web", external("203.0.113.20"), writing(nothing)), want: wantVerdict{errors: []string{"rule X5"}}},
	} {
		t.Run(name, func(t *testing.T) {
			world := &memory{namespaces: map[string]labels.Set{"default": {}}, pools: pools, reservations: reserved}
			got, err := ValidateService(t.Context(), world, Severities{"X12": Off}, ServiceChange{New: tc.svc})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

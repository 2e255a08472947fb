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
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// drawn tells that the node port of a Service's port, or with nil its health
// check's, was chosen by the API server or by us, as nobody owns the field: the
// server notes who wrote what before it allocates and before it asks mutating
// webhooks. Where it has noted nothing the port counts as asked for.
func drawn(svc *corev1.Service, port *corev1.ServicePort) bool {
	for _, entry := range svc.ManagedFields {
		if ownsNodePort(entry, port) {
			return false
		}
	}
	return len(svc.ManagedFields) > 0
}

func ownsNodePort(entry metav1.ManagedFieldsEntry, port *corev1.ServicePort) bool {
	var owned struct {
		Spec struct {
			HealthCheck json.RawMessage                       `json:"f:healthCheckNodePort"`
			Ports       map[string]map[string]json.RawMessage `json:"f:ports"`
		} `json:"f:spec"`
	}
	if entry.FieldsV1 == nil || json.Unmarshal(entry.FieldsV1.Raw, &owned) != nil {
		return false
	}
	if port == nil {
		return owned.Spec.HealthCheck != nil
	}
	for key, fields := range owned.Spec.Ports {
		var of corev1.ServicePort
		text, isKey := strings.CutPrefix(key, "k:")
		if isKey && json.Unmarshal([]byte(text), &of) == nil && of.Port == port.Port && of.Protocol == protocolOf(port.Protocol) {
			return fields["f:nodePort"] != nil
		}
	}
	return false
}

// drawnClusterIPs tells the same of the Service's ClusterIPs, of which a request
// asks for the first or for all.
func drawnClusterIPs(svc *corev1.Service) bool {
	for _, entry := range svc.ManagedFields {
		var owned struct {
			Spec map[string]json.RawMessage `json:"f:spec"`
		}
		if entry.FieldsV1 != nil && json.Unmarshal(entry.FieldsV1.Raw, &owned) == nil &&
			(owned.Spec["f:clusterIP"] != nil || owned.Spec["f:clusterIPs"] != nil) {
			return false
		}
	}
	return len(svc.ManagedFields) > 0
}

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
)

func TestAPortThatNobodyOwnsWasDrawn(t *testing.T) {
	const (
		asked   = `{"f:spec":{"f:type":{},"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{},"f:nodePort":{}}}}}`
		another = `{"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"UDP\"}":{"f:nodePort":{}},"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:port":{}}}}}`
		health  = `{"f:spec":{"f:healthCheckNodePort":{}}}`
	)
	port := &corev1.ServicePort{Port: 80, Protocol: corev1.ProtocolTCP, NodePort: 30080}
	for name, tc := range map[string]struct {
		owned []string
		port  *corev1.ServicePort
		want  bool
	}{
		"nothing is noted":              {nil, port, false},
		"its author wrote it":           {[]string{asked}, port, false},
		"one of two wrote it":           {[]string{another, asked}, port, false},
		"only the twin was asked for":   {[]string{another}, port, true},
		"only the rest was written":     {[]string{health}, port, true},
		"what can not be read":          {[]string{`{"f:spec":{"f:ports":{"k:nonsense":{"f:nodePort":{}}}}}`, "nonsense"}, port, true},
		"the health check's is written": {[]string{health}, nil, false},
		"the health check's is not":     {[]string{asked}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			svc := &corev1.Service{}
			for _, fields := range tc.owned {
				svc.ManagedFields = append(svc.ManagedFields, metav1.ManagedFieldsEntry{FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}})
			}
			if got := drawn(svc, tc.port); got != tc.want {
				t.Errorf("drawn: %v, want %v", got, tc.want)
			}
		})
	}
}

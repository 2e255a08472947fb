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
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// noting has these notes of who wrote what.
func noting(fields ...string) *corev1.Service {
	svc := &corev1.Service{}
	for _, text := range fields {
		svc.ManagedFields = append(svc.ManagedFields, metav1.ManagedFieldsEntry{FieldsV1: &metav1.FieldsV1{Raw: []byte(text)}})
	}
	return svc
}

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
		"a key that can not be read":    {[]string{`{"f:spec":{"f:ports":{"k:nonsense":{"f:nodePort":{}}}}}`}, port, false},
		"what can not be read":          {[]string{"nonsense"}, port, false},
		"what has no fields":            {[]string{`{"f:spec":{"f:ports":{}}}`}, port, true},
		"the health check's is written": {[]string{health}, nil, false},
		"the health check's is not":     {[]string{asked}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := drawn(ServiceChange{New: noting(tc.owned...)}, tc.port); got != tc.want {
				t.Errorf("drawn: %v, want %v", got, tc.want)
			}
		})
	}
}

// The server keeps what a client has written there, and adds its own.
func TestNotesThatAClientMadeUpHideNothing(t *testing.T) {
	const asked = `"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:port":{},"f:nodePort":{}}`
	keys := []string{asked}
	for i := range 40 {
		keys = append(keys, fmt.Sprintf(`"k:{\"name\":\"x%d\",\"port\":80,\"protocol\":\"TCP\"}":{"f:port":{}}`, i))
	}
	port := &corev1.ServicePort{Port: 80, Protocol: corev1.ProtocolTCP, NodePort: 30080}
	for name, tc := range map[string]struct {
		fields string
		port   *corev1.ServicePort
	}{
		"other keys of the port": {`{"f:spec":{"f:ports":{` + strings.Join(keys, ",") + `}}}`, port},
		"a field that reads like spec": {
			`{"f:spec":{"f:ports":{` + asked + `}},"f:\u017fpec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:port":{}}}}}`, port},
		"one that reads like ports": {
			`{"f:spec":{"f:ports":{` + asked + `},"f:port\u017f":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:port":{}}}}}`, port},
		"one that reads like the health check's": {`{"f:spec":{"f:healthCheckNodePort":{},"f:healthChec\u212aNodePort":null}}`, nil},
	} {
		for range 100 { // a map has no order
			if drawn(ServiceChange{New: noting(tc.fields)}, tc.port) {
				t.Errorf("%s: a port that was asked for counts as drawn", name)
				break
			}
		}
	}
}

// Of an update the server notes nothing if it can not make sense of what a client
// has sent: then the notes are those of before, byte for byte.
func TestNotesFromBeforeTheChangeSayNothing(t *testing.T) {
	const rest = `{"f:spec":{"f:type":{},"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{"f:port":{}}}}}`
	port := &corev1.ServicePort{Port: 80, Protocol: corev1.ProtocolTCP, NodePort: 30080}
	before, later := noting(rest), noting(rest)
	before.ManagedFields[0].Time, later.ManagedFields[0].Time = new(metav1.Unix(1, 0)), new(metav1.Unix(2, 0))
	for name, tc := range map[string]struct {
		change ServiceChange
		want   bool
	}{
		"made":                  {ServiceChange{New: before}, true},
		"changed and noted":     {ServiceChange{Old: before, New: later}, true},
		"changed and not noted": {ServiceChange{Old: before, New: before.DeepCopy()}, false},
	} {
		for what, got := range map[string]bool{"node port": drawn(tc.change, port), "health check": drawn(tc.change, nil), "ClusterIP": drawnClusterIP(tc.change, 0)} {
			if got != tc.want {
				t.Errorf("%s: %s drawn: %v, want %v", name, what, got, tc.want)
			}
		}
	}
}

// The notes of it may be gone: a client can take them off in an update before.
func TestAPortThatAnExternalNameHadWasNotDrawn(t *testing.T) {
	port := &corev1.ServicePort{Port: 80, Protocol: corev1.ProtocolTCP, NodePort: 30080}
	for kind, want := range map[corev1.ServiceType]bool{corev1.ServiceTypeExternalName: false, corev1.ServiceTypeNodePort: true} {
		old := &corev1.Service{Spec: corev1.ServiceSpec{Type: kind, Ports: []corev1.ServicePort{*port}}}
		if got := drawn(ServiceChange{Old: old, New: noting(`{"f:spec":{"f:type":{}}}`)}, port); got != want {
			t.Errorf("from %s: drawn: %v, want %v", kind, got, want)
		}
	}
}

func TestTheSecondClusterIPIsAskedForOnlyInTheList(t *testing.T) {
	const first, both, none = `{"f:spec":{"f:clusterIP":{}}}`, `{"f:spec":{"f:clusterIPs":{}}}`, `{"f:spec":{"f:type":{}}}`
	for fields, want := range map[string][2]bool{first: {false, true}, both: {false, false}, none: {true, true}, "nonsense": {false, false}} {
		change := ServiceChange{New: noting(fields)}
		if got := [2]bool{drawnClusterIP(change, 0), drawnClusterIP(change, 1)}; got != want {
			t.Errorf("%s: drawn: %v, want %v", fields, got, want)
		}
	}
}

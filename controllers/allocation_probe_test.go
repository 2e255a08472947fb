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

package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// probed is an API server that has given every port, and can not be asked at first.
type probed struct {
	client.Client
	failures int
	ports    []int32
}

func (p *probed) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	if p.failures--; p.failures >= 0 {
		return errors.New("no such luck")
	}
	port := object.(*corev1.Service).Spec.Ports[0].NodePort
	p.ports = append(p.ports, port)
	return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), object.GetName(),
		field.ErrorList{field.Invalid(field.NewPath("spec", "ports").Index(0).Child("nodePort"), port, "provided port is already allocated")})
}

func TestPortsThatCouldNotBeProbedAreProbedLater(t *testing.T) {
	server := &probed{failures: 1}
	r := &AllocationReconciler{
		Index: allocator.NewServices(allocator.PortSpan{First: 30000, Last: 30009}), Client: server, Namespace: "system",
		Now: func() time.Time { return time.Unix(1000, 0) }, probes: map[allocator.Number]time.Time{},
	}
	for port := int32(30000); port < 30003; port++ {
		r.Index.Observe(&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: fmt.Sprint("s", port)},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: port}}},
		})
		r.probes[allocator.PortNumber(port)] = time.Unix(999, 0)
	}
	if _, err := r.probe(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if _, err := r.probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(server.ports)
	if diff := cmp.Diff([]int32{30000, 30001, 30002}, server.ports); diff != "" {
		t.Errorf("probed (-want +got):\n%s", diff)
	}
}

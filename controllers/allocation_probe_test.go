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
	for name, tc := range map[string]struct {
		failures int
		want     []int32
	}{
		"one did not answer":   {1, []int32{30000, 30001, 30002}},
		"none ever does again": {3 * probeTries, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := &probed{failures: tc.failures}
			now := time.Unix(1000, 0)
			r := &AllocationReconciler{
				Index: allocator.NewServices(allocator.PortSpan{First: 30000, Last: 30009}), Client: server, Namespace: "system",
				Now: func() time.Time { return now }, probes: map[allocator.Number]probe{},
			}
			for port := int32(30000); port < 30003; port++ {
				r.Index.Observe(&corev1.Service{
					ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: fmt.Sprint("s", port)},
					Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: port}}},
				})
				r.probes[allocator.PortNumber(port)] = probe{at: now}
			}
			waits := 0
			for wait := r.probe(t.Context()); wait > 0; wait = r.probe(t.Context()) {
				if waits++; waits > probeTries {
					t.Fatal("it does not end")
				}
				now = now.Add(wait)
			}
			slices.Sort(server.ports)
			if diff := cmp.Diff(tc.want, server.ports); diff != "" {
				t.Errorf("probed (-want +got):\n%s", diff)
			}
		})
	}
}

// The range of the server may be another than when the Services were made.
func TestPortsThatTheServerGivesToNobodyAreNotProbed(t *testing.T) {
	r := &AllocationReconciler{Index: allocator.NewServices(allocator.PortSpan{First: 30000, Last: 30009}), Now: time.Now}
	for port, want := range map[int32]int{30000: 1, 40000: 0} {
		r.probes = nil
		r.Index.Observe(allocated("web", 1, "10.0.0.1", port))
		r.probeLater(situation{reason: reasonPortTaken, number: allocator.PortNumber(port)})
		if len(r.probes) != want {
			t.Errorf("port %d: %d probes, want %d", port, len(r.probes), want)
		}
	}
}

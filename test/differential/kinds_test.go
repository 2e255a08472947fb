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

package differential

import (
	"cmp"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	"switchyard.dev/switchyard/internal/validation"
)

// kind is what is compared of one kind of object: ours and the server's.
type kind[T object] struct {
	server   server
	samples  func() []T
	changes  func() []change[T]
	create   func(T, validation.Options) field.ErrorList
	update   func(before, after T, opts validation.Options) field.ErrorList
	warnings func(T) []validation.Warning
	// manifest is for kinds whose numbers nobody allocates.
	manifest func(before, after T, opts validation.Options) (T, field.ErrorList)
}

var (
	serviceKind = kind[*corev1.Service]{
		serviceServer, services, serviceChanges, validation.ValidateService, validation.ValidateServiceUpdate, validation.ServiceWarnings, nil,
	}
	endpointsKind = kind[*corev1.Endpoints]{
		endpointsServer, endpoints, endpointsChanges, validation.ValidateEndpoints, validation.ValidateEndpointsUpdate, validation.EndpointsWarnings,
		validation.ManifestEndpointsUpdate,
	}
	sliceKind = kind[*discoveryv1.EndpointSlice]{
		sliceServer, slices4to6, sliceChanges, validation.ValidateEndpointSlice, validation.ValidateEndpointSliceUpdate, validation.EndpointSliceWarnings,
		validation.ManifestEndpointSliceUpdate,
	}
)

func (k kind[T]) sameCreate(t *testing.T, o T, opts validation.Options, tally *tally) {
	t.Helper()
	tally.same(t, "create", problems(k.create(o, opts)), problems(k.server.create(o)), o)
}

func (k kind[T]) sameUpdate(t *testing.T, before, after T, opts validation.Options, tally *tally) {
	t.Helper()
	tally.same(t, "update", problems(k.update(before, after, opts)), problems(k.server.update(before, after)), before, after)
}

func (k kind[T]) sameWarnings(t *testing.T, o T, tally *tally) {
	t.Helper()
	var ours []string
	for _, w := range k.warnings(o) {
		ours = append(ours, w.Text)
	}
	servers := k.server.warnings(o)
	tally.compared++
	for _, text := range servers {
		tally.seen[problem{"Warning", "", text}]++
	}
	if !slices.Equal(ours, servers) {
		t.Errorf("ours warns\n%q\nand the server\n%q\nof %s", ours, servers, spelled([]any{o}))
	}
}

// compare makes one of each comparison with the choices it is given. Half of the
// updates begin with what should never have been let in.
func (k kind[T]) compare(t *testing.T, c chooser, opts validation.Options, tally *tally) {
	t.Helper()
	changes := k.changes()
	made := pick(c, k.samples())
	mutate(c, made, changes)
	k.sameCreate(t, made, opts, tally)
	k.sameWarnings(t, made, tally)

	before := pick(c, k.samples())
	if c.IntN(2) == 0 {
		mutate(c, before, changes)
	}
	after := before.DeepCopyObject().(T)
	if c.IntN(4) == 0 {
		after = pick(c, k.samples())
	}
	mutate(c, after, changes)
	k.sameUpdate(t, before, after, opts, tally)
	if k.manifest != nil {
		k.sameManifest(t, before, after, opts, tally)
	}
}

// sameManifest goes the whole way of an object that is put in the place of
// another.
func (k kind[T]) sameManifest(t *testing.T, before, after T, opts validation.Options, tally *tally) {
	t.Helper()
	serverKeeps(before, after)
	_, errs := k.manifest(before, after, opts)
	filled := after.DeepCopyObject().(T)
	legacyscheme.Scheme.Default(filled)
	servers, err := k.server.put(internal[runtime.Object](before), internal[runtime.Object](filled), after.GetNamespace())
	if err != nil {
		t.Fatalf("the server has no answer to %s: %v", spelled([]any{before, after}), err)
	}
	tally.same(t, "manifest update", problems(errs), slices.Compact(servers), before, after)
}

// serverKeeps is what a request is made with, or a patch keeps, and what no
// object of a server's lacks.
func serverKeeps(before, after metav1.Object) {
	before.SetGeneration(1)
	after.SetNamespace(cmp.Or(after.GetNamespace(), before.GetNamespace()))
	after.SetResourceVersion(cmp.Or(after.GetResourceVersion(), before.GetResourceVersion()))
}

// compareStatus is about what load-balancer controllers write.
func compareStatus(t *testing.T, c chooser, opts validation.Options, tally *tally) {
	t.Helper()
	before := pick(c, services())
	mutate(c, before, statusChanges())
	reported := before.DeepCopy()
	mutate(c, reported, statusChanges())
	tally.same(t, "status", problems(validation.ValidateServiceStatusUpdate(before, reported, opts)),
		problems(statusServer.update(before, reported)), before, reported)
}

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

package lint

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// stored is a Service as a cluster has it.
func stored(annotation, owned string) *corev1.Service {
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "u", Labels: map[string]string{"a": "1", "b": "2"}, Finalizers: []string{"a/b"}},
		Spec: corev1.ServiceSpec{
			ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1"}, LoadBalancerClass: new("a/b"), Type: corev1.ServiceTypeLoadBalancer,
			Ports: []corev1.ServicePort{{Port: 80}},
		},
	}
	if annotation != "" {
		svc.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: annotation}
	}
	if owned != "" {
		svc.ManagedFields = []metav1.ManagedFieldsEntry{{Operation: metav1.ManagedFieldsOperationApply, FieldsV1: &metav1.FieldsV1{Raw: []byte(owned)}}}
	}
	return svc
}

func TestOnto(t *testing.T) {
	const manifest = "apiVersion: v1\nkind: Service\nmetadata: {name: web, labels: {b: '3'}}\nspec: {type: LoadBalancer, ports: [{port: 81}]}\n"
	for name, tc := range map[string]struct {
		before    *corev1.Service
		wantClass bool
	}{
		"a field that others have set stays":           {before: stored("", ""), wantClass: true},
		"so it does where the manifest was applied":    {before: stored(`{"spec":{"ports":[]}}`, `{"f:spec":{"f:ports":{}}}`), wantClass: true},
		"one that kubectl applied goes":                {before: stored(`{"spec":{"loadBalancerClass":"a/b"}}`, "")},
		"one that was applied by the server goes":      {before: stored("", `{"f:spec":{"f:loadBalancerClass":{}}}`)},
		"an annotation that is no JSON means nothing":  {before: stored("{", ""), wantClass: true},
		"and so do names of fields that are no object": {before: stored("", `["f:spec"]`), wantClass: true},
	} {
		t.Run(name, func(t *testing.T) {
			merged, err := read(manifest).Objects[0].Onto(tc.before)
			if err != nil {
				t.Fatal(err)
			}
			svc := merged.Object.(*corev1.Service)
			if (svc.Spec.LoadBalancerClass != nil) != tc.wantClass {
				t.Errorf("the class is %v", svc.Spec.LoadBalancerClass)
			}
			got := []any{svc.Spec.ClusterIPs, svc.Spec.Ports[0].Port, len(svc.Spec.Ports), svc.Labels, svc.Finalizers}
			want := []any{[]string{"10.0.0.1"}, int32(81), 1, map[string]string{"a": "1", "b": "3"}, []string{"a/b"}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the rest (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLabelsThatWereAppliedGoWithTheManifest(t *testing.T) {
	const manifest = "apiVersion: v1\nkind: Service\nmetadata: {name: web, labels: {b: '3'}}\nspec: {ports: [{port: 81}]}\n"
	for name, tc := range map[string]struct {
		applied, owned string
		uid            types.UID
		want           map[string]string
	}{
		"others have set them":        {uid: "u", want: map[string]string{"a": "1", "b": "3"}},
		"kubectl has applied one":     {uid: "u", applied: `{"metadata":{"labels":{"a":"1"}}}`, want: map[string]string{"b": "3"}},
		"it was applied by a server":  {uid: "u", owned: `{"f:metadata":{"f:labels":{".":{},"f:a":{}}}}`, want: map[string]string{"b": "3"}},
		"another of them was applied": {uid: "u", owned: `{"f:metadata":{"f:labels":{"f:b":{}},"f:annotations":{"f:a":{}}}}`, want: map[string]string{"a": "1", "b": "3"}},
		"all that is in a file was":   {want: map[string]string{"b": "3"}},
	} {
		before := stored(tc.applied, tc.owned)
		before.UID = tc.uid
		merged, err := read(manifest).Objects[0].Onto(before)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, merged.Object.(*corev1.Service).Labels); diff != "" {
			t.Errorf("%s: labels (-want +got):\n%s", name, diff)
		}
	}
}

func TestOntoOtherKinds(t *testing.T) {
	before := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "web-1", UID: "u"}, AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}}},
	}
	merged, err := read("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1}\nendpoints: []\n").Objects[0].Onto(before)
	if err != nil {
		t.Fatal(err)
	}
	if slice := merged.Object.(*discoveryv1.EndpointSlice); slice.AddressType != discoveryv1.AddressTypeIPv4 || len(slice.Endpoints) != 0 {
		t.Errorf("got %s and %d endpoints", slice.AddressType, len(slice.Endpoints))
	}
	unreadable := read("apiVersion: v1\nkind: Service\nspec: 5\n").Objects[0]
	if merged, err := unreadable.Onto(before); err != nil || merged.Object != unreadable.Object {
		t.Errorf("what can not be decoded: %v", err)
	}
}

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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// nonsense is stored by an API server that nobody told otherwise.
func nonsense() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Foo"}}}
}

func TestAPoolThatCanNotBeReadOpensNothing(t *testing.T) {
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}},
		&v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "ports"}, Spec: v1alpha1.PortPoolSpec{
			Ranges: []v1alpha1.PortRange{"31000-31099"}, NamespaceSelector: nonsense()}},
		&v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "clusterips"}, Spec: v1alpha1.AddressPoolSpec{
			Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.96.40.0/24"}, ServiceSelector: nonsense()}},
	}
	world := cluster(t, objects, objects)
	for _, svc := range []*corev1.Service{service("web", onNodePort(31050, corev1.ProtocolTCP)), service("web", clusterIP("10.96.40.7"))} {
		got, err := ValidateService(t.Context(), world, nil, ServiceChange{New: svc})
		if err != nil {
			t.Fatal(err)
		}
		expectVerdict(t, got, wantVerdict{errors: []string{"this belongs to "}})
	}
}

func TestSelectorsOfPoolsCanBeRead(t *testing.T) {
	good := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}
	spaced := &metav1.LabelSelector{MatchLabels: map[string]string{"a b": "c"}}
	ports := func(selector *metav1.LabelSelector) *v1alpha1.PortPool {
		return &v1alpha1.PortPool{Spec: v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"31000"}, NamespaceSelector: selector}}
	}
	addrs := func(namespaces, services *metav1.LabelSelector) *v1alpha1.AddressPool {
		return &v1alpha1.AddressPool{Spec: v1alpha1.AddressPoolSpec{
			Use: v1alpha1.UseExternalIP, Addresses: []v1alpha1.AddressRange{"203.0.113.7"}, NamespaceSelector: namespaces, ServiceSelector: services}}
	}
	for name, tc := range map[string]struct {
		change RangeChange
		want   wantVerdict
	}{
		"an operator":       {portPoolChange(nil, ports(nonsense())), wantVerdict{errors: []string{`spec.namespaceSelector.matchExpressions[0].operator: Invalid value: "Foo"`}}},
		"a key":             {portPoolChange(ports(good), ports(spaced)), wantVerdict{errors: []string{`spec.namespaceSelector.matchLabels: Invalid value: "a b"`}}},
		"of an AddressPool": {addressPoolChange(nil, addrs(nonsense(), nil)), wantVerdict{errors: []string{"spec.namespaceSelector"}}},
		"of Services":       {addressPoolChange(addrs(good, nil), addrs(good, nonsense())), wantVerdict{errors: []string{"spec.serviceSelector"}}},
		"one that is right": {addressPoolChange(nil, addrs(good, good)), wantVerdict{}},
		"one from before":   {portPoolChange(ports(nonsense()), ports(nonsense())), wantVerdict{}},
		"none":              {portPoolChange(ports(nonsense()), ports(nil)), wantVerdict{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateRanges(t.Context(), &memory{}, nil, tc.change)
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

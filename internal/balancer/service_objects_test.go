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

package balancer

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/api/v1alpha1"
)

func TestServiceOf(t *testing.T) {
	deleted := metav1.Now()
	object := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "1", DeletionTimestamp: &deleted, Annotations: map[string]string{
			v1alpha1.SharingKeyAnnotation: "k", v1alpha1.SharingNamespacesAnnotation: "red, blue,", v1alpha1.AddressPoolAnnotation: "gold",
		}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, IPFamilies: []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}, IPFamilyPolicy: new(corev1.IPFamilyPolicyPreferDualStack),
			Ports:                 []corev1.ServicePort{{Port: 80}, {Protocol: corev1.ProtocolUDP, Port: 53}},
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, Selector: map[string]string{"app": "web"},
		},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {Hostname: "x"}}}},
	}
	s := ServiceOf(object, labels.Set{"team": "red"}, Class{Default: true})
	got := fmt.Sprintln(s.Key, s.UID, s.Served, s.Deleting, s.NamespaceLabels, s.wanted(), s.Wish, s.SharingKey, s.SharesWith, s.Ports, s.Local, s.Selector, s.Status)
	expect(t, "read", got, "shop/web 1 true true team=red [IPv6 IPv4] {[] gold } k [red blue] [{TCP 80} {UDP 53}] true map[app:web] [192.0.2.1]\n")
}

func TestNamespacesBeyondThoseThatCanShare(t *testing.T) {
	of := func(n int) Service {
		object := &corev1.Service{}
		object.Annotations = map[string]string{v1alpha1.SharingNamespacesAnnotation: strings.Repeat("a, ", n)}
		return ServiceOf(object, nil, Class{})
	}
	most, more := of(100), of(101)
	expect(t, "as many as can share", fmt.Sprint(len(most.SharesWith), most.Wish.Invalid), "100")
	expect(t, "one more", fmt.Sprint(len(more.SharesWith), " ", more.Wish.Invalid),
		"100 the annotation switchyard.dev/sharing-namespaces names more than 100 namespaces: the others are not looked at")
}

func TestClass(t *testing.T) {
	ofClass := func(kind corev1.ServiceType, class *string) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{Type: kind, LoadBalancerClass: class}}
	}
	const balancer = corev1.ServiceTypeLoadBalancer
	for name, tc := range map[string]struct {
		service *corev1.Service
		want    string // by a class that is the default, and by one that is not
	}{
		"ours":         {ofClass(balancer, new("a.b/c")), "true true"},
		"another's":    {ofClass(balancer, new("a.b/d")), "false false"},
		"no class":     {ofClass(balancer, nil), "true false"},
		"another type": {ofClass(corev1.ServiceTypeNodePort, nil), "false false"},
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, "served", fmt.Sprint(Class{"a.b/c", true}.Serves(tc.service), Class{Name: "a.b/c"}.Serves(tc.service)), tc.want)
		})
	}
}

func TestWishes(t *testing.T) {
	const nonsense = "is not one address, or one of each family with a comma between them: write 192.0.2.1,2001:db8::1"
	for name, tc := range map[string]struct{ field, annotation, want, invalid string }{
		"none":                      {want: "[]"},
		"the field":                 {field: "192.0.2.1", want: "[192.0.2.1]"},
		"the annotation goes first": {field: "192.0.2.1", annotation: "192.0.2.2", want: "[192.0.2.2]"},
		"both families":             {annotation: " 2001:db8::1 , 192.0.2.2,", want: "[2001:db8::1 192.0.2.2]"},
		"nonsense":                  {field: "any", want: "[]", invalid: `spec.loadBalancerIP: "any" ` + nonsense},
		"two of a family":           {annotation: "192.0.2.1,192.0.2.2", want: "[]", invalid: `the annotation switchyard.dev/load-balancer-ips: "192.0.2.1,192.0.2.2" ` + nonsense},
		"three":                     {annotation: "192.0.2.1,2001:db8::1,x", want: "[]", invalid: `the annotation switchyard.dev/load-balancer-ips: "192.0.2.1,2001:db8::1,x" ` + nonsense},
		"a zone":                    {field: "fe80::1%eth0", want: "[]", invalid: `spec.loadBalancerIP: "fe80::1%eth0" ` + nonsense},
		"IPv4 in IPv6":              {field: "::ffff:192.0.2.1", want: "[]", invalid: `spec.loadBalancerIP: "::ffff:192.0.2.1" ` + nonsense},
	} {
		t.Run(name, func(t *testing.T) {
			object := &corev1.Service{Spec: corev1.ServiceSpec{LoadBalancerIP: tc.field}}
			object.Annotations = map[string]string{v1alpha1.LoadBalancerIPsAnnotation: tc.annotation}
			got := ServiceOf(object, nil, Class{}).Wish
			expect(t, "asked for", fmt.Sprint(got.Addrs), tc.want)
			expect(t, "refused", got.Invalid, tc.invalid)
		})
	}
}

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

package model

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// wrote is an entry of managed fields.
func wrote(manager string, operation metav1.ManagedFieldsOperationType, subresource, fields string) serviceOption {
	return func(svc *corev1.Service) {
		svc.ManagedFields = append(svc.ManagedFields, metav1.ManagedFieldsEntry{
			Manager: manager, Operation: operation, Subresource: subresource,
			APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)},
		})
	}
}

func TestAnAddressIsPooledIfItsOwnerIsTheOneWhoGivesThose(t *testing.T) {
	const (
		ours    = v1alpha1.LoadBalancerFieldManager
		apply   = metav1.ManagedFieldsOperationApply
		update  = metav1.ManagedFieldsOperationUpdate
		address = `{"f:status":{"f:loadBalancer":{"f:ingress":{}}}}`
		both    = `{"f:status":{"f:conditions":{"k:{\"type\":\"LoadBalancerAddressAssigned\"}":{".":{}}},"f:loadBalancer":{"f:ingress":{}}}}`
		told    = `{"f:status":{"f:conditions":{"k:{\"type\":\"LoadBalancerAddressAssigned\"}":{".":{},"f:status":{}}}}}`
	)
	vip := ingress(corev1.LoadBalancerIngress{IP: "192.0.2.1", IPMode: new(corev1.LoadBalancerIPModeVIP)})
	assigned := func(svc *corev1.Service) {
		svc.Status.Conditions = []metav1.Condition{{Type: v1alpha1.LoadBalancerAddressAssigned, Status: metav1.ConditionTrue}}
	}
	for name, tc := range map[string]struct {
		options []serviceOption
		want    bool
	}{
		"given by us":                                  {[]serviceOption{vip, wrote(ours, apply, "status", both)}, true},
		"by us, agreeing with who was before us":       {[]serviceOption{vip, wrote("speaker", update, "status", address), wrote(ours, apply, "status", both)}, true},
		"nobody knows by whom":                         {[]serviceOption{vip, assigned}, false},
		"by another, beside a condition of ours":       {[]serviceOption{vip, assigned, wrote("k3s", update, "status", address), wrote(ours, apply, "status", told)}, false},
		"by another":                                   {[]serviceOption{vip, wrote("cloud-controller-manager", update, "status", address)}, false},
		"by another who applies":                       {[]serviceOption{vip, wrote("gitops", apply, "status", address)}, false},
		"by somebody of our name in another way":       {[]serviceOption{vip, wrote(ours, update, "status", address)}, false},
		"by somebody of our name who wrote the object": {[]serviceOption{vip, wrote(ours, apply, "", address)}, false},
		"by us, and none is a VIP":                     {[]serviceOption{ingress(corev1.LoadBalancerIngress{Hostname: "a.example"}), wrote(ours, apply, "status", both)}, false},
		"an entry without fields": {[]serviceOption{vip, func(svc *corev1.Service) {
			svc.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: ours, Operation: apply, Subresource: "status"}}
		}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewStore(Options{})
			s.SetService(makeService("web", tc.options...))
			port, ok := s.ServicePort(ServicePortName{Namespace: "default", Name: "web", Protocol: TCP})
			if !ok || port.Pooled != tc.want {
				t.Errorf("pooled is %t of %t, want %t", port.Pooled, ok, tc.want)
			}
		})
	}
}

// Who gave an address may change while the address does not.
func TestAnotherOwnerIsAChange(t *testing.T) {
	vip := ingress(corev1.LoadBalancerIngress{IP: "192.0.2.1"})
	ours := wrote(v1alpha1.LoadBalancerFieldManager, metav1.ManagedFieldsOperationApply, "status", `{"f:status":{"f:loadBalancer":{"f:ingress":{}}}}`)
	s := NewStore(Options{})
	s.SetService(makeService("web", vip))
	s.TakeDirty()
	s.SetService(makeService("web", vip, ours))
	if dirty := s.TakeDirty(); len(dirty) != 1 {
		t.Errorf("%v have changed, want the one", dirty)
	}
	s.SetService(makeService("web", vip, ours, wrote("kubectl", metav1.ManagedFieldsOperationUpdate, "", `{"f:metadata":{}}`)))
	if dirty := s.TakeDirty(); len(dirty) != 0 {
		t.Errorf("%v have changed, want none", dirty)
	}
}

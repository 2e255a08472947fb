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
	"context"
	"net/netip"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// +kubebuilder:webhook:path=/validate-switchyard-dev-v1alpha1-addresspool,mutating=false,failurePolicy=ignore,sideEffects=None,groups=switchyard.dev,resources=addresspools,verbs=create;update,versions=v1alpha1,name=addresspool.validate.switchyard.dev,admissionReviewVersions=v1,timeoutSeconds=3,patch=`{"matchConditions":[{"name":"not-just-letting-go","expression":"!has(object.metadata.deletionTimestamp) || oldObject == null || object.?spec != oldObject.?spec"}]}`
// +kubebuilder:webhook:path=/validate-switchyard-dev-v1alpha1-portpool,mutating=false,failurePolicy=ignore,sideEffects=None,groups=switchyard.dev,resources=portpools,verbs=create;update,versions=v1alpha1,name=portpool.validate.switchyard.dev,admissionReviewVersions=v1,timeoutSeconds=3,patch=`{"matchConditions":[{"name":"not-just-letting-go","expression":"!has(object.metadata.deletionTimestamp) || oldObject == null || object.?spec != oldObject.?spec"}]}`
// +kubebuilder:webhook:path=/validate-networking-k8s-io-v1-servicecidr,mutating=false,failurePolicy=ignore,sideEffects=None,groups=networking.k8s.io,resources=servicecidrs,verbs=create;update,versions=v1,name=servicecidr.validate.switchyard.dev,admissionReviewVersions=v1,timeoutSeconds=3,patch=`{"matchConditions":[{"name":"not-the-api-server","expression":"request.userInfo.username != 'system:apiserver' && request.name != 'kubernetes'"},{"name":"not-just-letting-go","expression":"!has(object.metadata.deletionTimestamp) || oldObject == null || object.?spec != oldObject.?spec"}]}`

// RangeValidator judges objects that claim ranges of numbers.
type RangeValidator[T client.Object] struct {
	Validation
	// Kind is what the messages call the object.
	Kind schema.GroupKind
	// Change reads the ranges that a write adds; before is nil on create.
	Change func(before, after T) RangeChange
}

var (
	_ admission.Validator[*v1alpha1.AddressPool]     = &RangeValidator[*v1alpha1.AddressPool]{}
	_ admission.Validator[*v1alpha1.PortPool]        = &RangeValidator[*v1alpha1.PortPool]{}
	_ admission.Validator[*networkingv1.ServiceCIDR] = &RangeValidator[*networkingv1.ServiceCIDR]{}
)

// AddressPoolValidator judges AddressPools.
func AddressPoolValidator(v Validation) *RangeValidator[*v1alpha1.AddressPool] {
	return &RangeValidator[*v1alpha1.AddressPool]{v, v1alpha1.GroupVersion.WithKind("AddressPool").GroupKind(), addressPoolChange}
}

// PortPoolValidator judges PortPools.
func PortPoolValidator(v Validation) *RangeValidator[*v1alpha1.PortPool] {
	return &RangeValidator[*v1alpha1.PortPool]{v, v1alpha1.GroupVersion.WithKind("PortPool").GroupKind(), portPoolChange}
}

// ServiceCIDRValidator judges ServiceCIDRs (KEP-1880).
func ServiceCIDRValidator(v Validation) *RangeValidator[*networkingv1.ServiceCIDR] {
	return &RangeValidator[*networkingv1.ServiceCIDR]{v, networkingv1.SchemeGroupVersion.WithKind("ServiceCIDR").GroupKind(), serviceCIDRChange}
}

// ValidateCreate implements admission.Validator.
func (v *RangeValidator[T]) ValidateCreate(ctx context.Context, object T) (admission.Warnings, error) {
	var none T
	return v.validate(ctx, write{after: object}, none, object)
}

// ValidateUpdate implements admission.Validator.
func (v *RangeValidator[T]) ValidateUpdate(ctx context.Context, before, after T) (admission.Warnings, error) {
	return v.validate(ctx, write{before: before, after: after}, before, after)
}

// ValidateDelete implements admission.Validator; deletion always passes.
func (v *RangeValidator[T]) ValidateDelete(context.Context, T) (admission.Warnings, error) {
	return nil, nil
}

func (v *RangeValidator[T]) validate(ctx context.Context, w write, before, after T) (admission.Warnings, error) {
	w.kind = v.Kind
	w.validate = func(ctx context.Context, severities Severities) (Verdict, error) {
		return ValidateRanges(ctx, v.World, severities, v.Change(before, after))
	}
	return v.answer(ctx, w)
}

// badSelector says what is wrong with a selector that the change brings. The schema
// of selectors allows every operator and key, and a pool with such a one is closed.
func badSelector(name string, before, after *metav1.LabelSelector) field.ErrorList {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	return validation.ValidateLabelSelector(after, validation.LabelSelectorValidationOptions{}, field.NewPath("spec", name))
}

func addressPoolChange(before, after *v1alpha1.AddressPool) RangeChange {
	if before == nil {
		before = &v1alpha1.AddressPool{}
	}
	change := RangeChange{Kind: "AddressPool", Name: after.Name, Use: after.Spec.Use, Malformed: append(
		badSelector("namespaceSelector", before.Spec.NamespaceSelector, after.Spec.NamespaceSelector),
		badSelector("serviceSelector", before.Spec.ServiceSelector, after.Spec.ServiceSelector)...)}
	pool, err := allocator.AddrPoolOf(after)
	if err != nil {
		return change // The schema says what is wrong.
	}
	had := setOf(before.Spec.Addresses)
	for i, text := range after.Spec.Addresses {
		if !had[text] {
			change.Addrs = append(change.Addrs, AddrRange{field.NewPath("spec", "addresses").Index(i), string(text), pool.Ranges[i]})
		}
	}
	return change
}

func portPoolChange(before, after *v1alpha1.PortPool) RangeChange {
	if before == nil {
		before = &v1alpha1.PortPool{}
	}
	change := RangeChange{Kind: "PortPool", Name: after.Name,
		Malformed: badSelector("namespaceSelector", before.Spec.NamespaceSelector, after.Spec.NamespaceSelector)}
	pool, err := allocator.PortPoolOf(after)
	if err != nil {
		return change
	}
	had := setOf(before.Spec.Ranges)
	for i, text := range after.Spec.Ranges {
		if !had[text] {
			change.Ports = append(change.Ports, PortRange{field.NewPath("spec", "ranges").Index(i), string(text), pool.Ranges[i]})
		}
	}
	return change
}

func serviceCIDRChange(before, after *networkingv1.ServiceCIDR) RangeChange {
	change := RangeChange{Kind: "ServiceCIDR", Name: after.Name, Use: v1alpha1.UseClusterIP}
	had := map[string]bool{}
	if before != nil {
		had = setOf(before.Spec.CIDRs)
	}
	for i, text := range after.Spec.CIDRs {
		if prefix, err := netip.ParsePrefix(text); err == nil && !had[text] {
			change.Addrs = append(change.Addrs, AddrRange{field.NewPath("spec", "cidrs").Index(i), text, spanOf(prefix)})
		}
	}
	return change
}

func setOf[T comparable](list []T) map[T]bool {
	set := make(map[T]bool, len(list))
	for _, item := range list {
		set[item] = true
	}
	return set
}

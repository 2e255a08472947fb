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

package render

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Objects are what a table is made from. Of objects with one name the last one
// counts, as if they had been applied in order.
type Objects struct {
	Services       []*corev1.Service
	EndpointSlices []*discoveryv1.EndpointSlice
	Nodes          []*corev1.Node
	ServiceCIDRs   []*networkingv1.ServiceCIDR
}

// add takes object if it is of a kind that matters here.
func (o *Objects) add(object runtime.Object) (ours bool) {
	switch object := object.(type) {
	case *corev1.Service:
		inNamespace(&object.ObjectMeta)
		o.Services = append(o.Services, object)
	case *discoveryv1.EndpointSlice:
		inNamespace(&object.ObjectMeta)
		o.EndpointSlices = append(o.EndpointSlices, object)
	case *corev1.Node:
		o.Nodes = append(o.Nodes, object)
	case *networkingv1.ServiceCIDR:
		o.ServiceCIDRs = append(o.ServiceCIDRs, object)
	default:
		return false
	}
	return true
}

// inNamespace puts an object where kubectl would put it.
func inNamespace(meta *metav1.ObjectMeta) {
	if meta.Namespace == "" {
		meta.Namespace = metav1.NamespaceDefault
	}
}

// latest leaves out objects that a later one of the same name replaces.
func latest[T metav1.Object](list []T) []T {
	key := func(object T) types.NamespacedName {
		return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
	}
	last := make(map[types.NamespacedName]int, len(list))
	for i, object := range list {
		last[key(object)] = i
	}
	kept := make([]T, 0, len(last))
	for i, object := range list {
		if last[key(object)] == i {
			kept = append(kept, object)
		}
	}
	return kept
}

// Node is the named Node object, or nil.
func (o *Objects) Node(name string) *corev1.Node {
	for _, node := range latest(o.Nodes) {
		if node.Name == name {
			return node
		}
	}
	return nil
}

// serviceCIDRs are the ranges of all ServiceCIDRs that can be read.
func (o *Objects) serviceCIDRs() (ranges []netip.Prefix, problems []model.Problem) {
	for _, object := range latest(o.ServiceCIDRs) {
		for i, text := range object.Spec.CIDRs {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				problems = append(problems, model.Problem{
					Object: model.Object{Kind: "ServiceCIDR", Name: object.Name},
					Field:  fmt.Sprintf("spec.cidrs[%d]", i), Reason: fmt.Sprintf("%q is not a CIDR", text),
					Remedy: "correct it, as in 10.96.0.0/16",
				})
				continue
			}
			ranges = append(ranges, model.PlainPrefix(prefix))
		}
	}
	return ranges, problems
}

// CIDRs are the ranges of ClusterIPs, for policy.Node.
func (o *Objects) CIDRs() []netip.Prefix {
	ranges, _ := o.serviceCIDRs()
	return ranges
}

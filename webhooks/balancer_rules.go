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
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// checkLoadBalancerClass is X17: a class that no controller serves waits for ever.
func checkLoadBalancerClass(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	class := classOf(change.New)
	if class == "" || class == classOf(change.Old) {
		return nil, nil
	}
	served, err := world.LoadBalancerClassServed(ctx, class)
	if err != nil || served {
		return nil, err
	}
	return []Finding{{Path: field.NewPath("spec", "loadBalancerClass"), Value: class,
		Detail: "no Service of this class has an address yet; if a controller for it runs, name it in the manager's loadBalancerClasses"}}, nil
}

// classOf is spec.loadBalancerClass where it has a meaning.
func classOf(svc *corev1.Service) string {
	if svc == nil || svc.Spec.Type != corev1.ServiceTypeLoadBalancer || svc.Spec.LoadBalancerClass == nil {
		return ""
	}
	return *svc.Spec.LoadBalancerClass
}

// sharingKey is the key of a Service that may share its address, or nothing.
func sharingKey(svc *corev1.Service) string {
	if svc == nil || svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return ""
	}
	return svc.Annotations[v1alpha1.SharingKeyAnnotation]
}

// sharesWith tells whether a Service names a namespace, or is of it.
func sharesWith(svc *corev1.Service, namespace string) bool {
	if svc.Namespace == namespace {
		return true
	}
	for name := range strings.SplitSeq(svc.Annotations[v1alpha1.SharingNamespacesAnnotation], ",") {
		if strings.TrimSpace(name) == namespace {
			return true
		}
	}
	return false
}

// checkSharing is X18. That one side alone wants to share gives it nothing, and
// two Services whose traffic must stay on the node can share an address only
// where the nodes of both are the same.
func checkSharing(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	key := sharingKey(change.New)
	if key == "" || !sharingChanged(change) {
		return nil, nil
	}
	all, err := world.ServicesBySharingKey(ctx, key)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, other := range change.others(all) {
		if finding, broken := judgeSharing(ctx, world, change.New, other); broken {
			found = append(found, finding)
		}
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

func sharingChanged(change ServiceChange) bool {
	before, after := change.Old, change.New
	return sharingKey(before) != sharingKey(after) ||
		before.Annotations[v1alpha1.SharingNamespacesAnnotation] != after.Annotations[v1alpha1.SharingNamespacesAnnotation] ||
		before.Spec.ExternalTrafficPolicy != after.Spec.ExternalTrafficPolicy ||
		!maps.Equal(before.Spec.Selector, after.Spec.Selector)
}

func judgeSharing(ctx context.Context, world World, svc, other *corev1.Service) (Finding, bool) {
	consent := field.NewPath("metadata", "annotations").Key(v1alpha1.SharingNamespacesAnnotation)
	asks, answers := sharesWith(svc, other.Namespace), sharesWith(other, svc.Namespace)
	switch {
	case !asks && !answers:
		return Finding{}, false // The key is the same by chance.
	case !answers:
		return Finding{Path: consent, Value: other.Namespace, Detail: fmt.Sprintf(
			"%s has this key and does not name this namespace in the annotation, so the address is not shared; ask its owners to",
			world.NameOf(ctx, other))}, true
	case !asks:
		return Finding{Path: consent, Value: svc.Annotations[v1alpha1.SharingNamespacesAnnotation], Detail: fmt.Sprintf(
			"%s has this key and names this namespace, but is not named in return, so the address is not shared; name its namespace",
			world.NameOf(ctx, other))}, true
	case keepsLocal(svc) && keepsLocal(other) && !maps.Equal(svc.Spec.Selector, other.Spec.Selector):
		return Finding{Path: field.NewPath("spec", "externalTrafficPolicy"), Value: svc.Spec.ExternalTrafficPolicy, Detail: fmt.Sprintf(
			"%s shares the address and has other endpoints, so nodes with endpoints of one would drop the other's traffic; use the policy Cluster, or one selector",
			world.NameOf(ctx, other))}, true
	}
	return Finding{}, false
}

func keepsLocal(svc *corev1.Service) bool {
	return svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

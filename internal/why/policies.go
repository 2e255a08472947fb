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

package why

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// policies are those of the Service's namespace, and of the client's, which may
// keep it from going out.
func (r *reading) policies(ctx context.Context) {
	if r.externalName() {
		return
	}
	r.policiesOf(ctx, r.Service.Namespace)
	if c := r.facts.Client; c != nil && c.Pod != nil && c.Pod.Namespace != "" && c.Pod.Namespace != r.Service.Namespace {
		r.policiesOf(ctx, c.Pod.Namespace)
	}
	if selectsNamespaces(r.facts.NetworkPolicies) {
		r.namespaces(ctx)
	}
}

func (r *reading) policiesOf(ctx context.Context, namespace string) {
	items := func(list *networkingv1.NetworkPolicyList) []networkingv1.NetworkPolicy { return list.Items }
	policies, err := collect(ctx, r.Reader, &networkingv1.NetworkPolicyList{}, items, everything, client.InNamespace(namespace))
	r.facts.NetworkPolicies = append(r.facts.NetworkPolicies, policies...)
	if err == nil {
		return
	}
	what, reason := string(diagnosis.NetworkPolicies), explain(err)
	told := reason
	if namespace != r.Service.Namespace {
		what, told = what+" of namespace "+namespace, "those of namespace "+namespace+": "+reason
	}
	r.gaps.addKind(diagnosis.NetworkPolicies, gap{what, reason, "whether one of them keeps connections away is not known"}, told)
}

// selectsNamespaces tells whether labels of namespaces matter.
func selectsNamespaces(policies []*networkingv1.NetworkPolicy) bool {
	named := func(peers []networkingv1.NetworkPolicyPeer) bool {
		for _, peer := range peers {
			if s := peer.NamespaceSelector; s != nil && len(s.MatchLabels)+len(s.MatchExpressions) > 0 {
				return true
			}
		}
		return false
	}
	for _, policy := range policies {
		for _, rule := range policy.Spec.Ingress {
			if named(rule.From) {
				return true
			}
		}
		for _, rule := range policy.Spec.Egress {
			if named(rule.To) {
				return true
			}
		}
	}
	return false
}

// namespaces are the labels of those that NetworkPolicies may mean.
func (r *reading) namespaces(ctx context.Context) {
	names := []string{r.Service.Namespace, metav1.NamespaceSystem}
	if c := r.facts.Client; c != nil && c.Pod != nil && c.Pod.Namespace != "" {
		names = append(names, c.Pod.Namespace)
	}
	r.facts.Namespaces = map[string]labels.Set{}
	for _, name := range names {
		if _, known := r.facts.Namespaces[name]; known {
			continue
		}
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
		if err := r.Reader.Get(ctx, types.NamespacedName{Name: name}, object); err != nil {
			if name != metav1.NamespaceSystem {
				r.gaps.add(gap{"namespace " + name, explain(err), "whether NetworkPolicies mean it by its labels may not be known"})
			}
			continue
		}
		r.facts.Namespaces[name] = object.Labels
	}
}

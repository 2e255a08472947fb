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

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// RuleLabelPrefix begins the labels of a namespace that give a rule another
// severity there: rule.switchyard.dev/X12=off. A rule is named by its ID. Who
// may change the namespace object may weaken its rules, which the roles that
// Kubernetes has for users of a namespace do not include.
const RuleLabelPrefix = "rule.switchyard.dev/"

// NamespaceReader knows the labels of namespaces.
type NamespaceReader interface {
	NamespaceLabels(ctx context.Context, name string) (labels.Set, error)
}

// severitiesIn are the severities in force in a namespace. They are those of the
// configuration where its labels can not be read: a rule is not weaker because
// the API server is away.
func (v *Validation) severitiesIn(ctx context.Context, namespace string) Severities {
	if v.Namespaces == nil || namespace == "" {
		return v.Severities
	}
	set, err := v.Namespaces.NamespaceLabels(ctx, namespace)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Took the configured severities", "namespace", namespace)
		return v.Severities
	}
	return v.Severities.with(set)
}

// with are the severities as a namespace's labels change them. A value that is no
// severity changes nothing: policy namespace-labels tells whoever writes it.
func (s Severities) with(namespace labels.Set) Severities {
	changed := maps.Clone(s)
	for _, rule := range Table() {
		severity, err := ParseSeverity(namespace[RuleLabelPrefix+rule.ID])
		if err != nil {
			continue
		}
		if changed == nil {
			changed = Severities{}
		}
		changed[rule.ID] = severity
	}
	return changed
}

// SetupInformers has the cache hold what rules read without an index from the
// start, so that the first request does not wait for it: pools, reservations,
// ServiceCIDRs and, of namespaces, the metadata. Kinds of our own that are not
// installed are left out.
func SetupInformers(ctx context.Context, informers cache.Informers) error {
	for _, object := range []client.Object{
		namespaceMetadata(), &networkingv1.ServiceCIDR{},
		&v1alpha1.AddressPool{}, &v1alpha1.PortPool{}, &v1alpha1.AddressReservation{}, &v1alpha1.PortReservation{},
	} {
		if _, err := informers.GetInformer(ctx, object, cache.BlockUntilSynced(false)); err != nil && !meta.IsNoMatchError(err) {
			return fmt.Errorf("watching %T: %w", object, err)
		}
	}
	return nil
}

func namespaceMetadata() *metav1.PartialObjectMetadata {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return namespace
}

// NamespaceLabels implements NamespaceReader. One that the cache does not know
// yet is read live.
func (c *Cluster) NamespaceLabels(ctx context.Context, name string) (labels.Set, error) {
	namespace := namespaceMetadata()
	err := c.Cached.Get(ctx, client.ObjectKey{Name: name}, namespace)
	if apierrors.IsNotFound(err) {
		err = c.Live.Get(ctx, client.ObjectKey{Name: name}, namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the labels of namespace %s: %w", name, err)
	}
	return namespace.Labels, nil
}

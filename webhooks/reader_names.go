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
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// PodNameOf implements Namer for the requester in the context.
func (n ReaderNames) PodNameOf(ctx context.Context, pod *corev1.Pod) (string, bool) {
	request, err := admission.RequestFromContext(ctx)
	if err == nil && n.mayGet(ctx, request.UserInfo, resource{"", "v1", "pods"}, client.ObjectKeyFromObject(pod)) {
		return "pod " + client.ObjectKeyFromObject(pod).String(), true
	}
	if err == nil && request.Namespace == pod.Namespace {
		return "a pod of this namespace", false
	}
	return "a pod of another namespace", false
}

// NodeNameOf implements Namer for the requester in the context.
func (n ReaderNames) NodeNameOf(ctx context.Context, node *corev1.Node) string {
	request, err := admission.RequestFromContext(ctx)
	if err == nil && n.mayGet(ctx, request.UserInfo, resource{"", "v1", "nodes"}, client.ObjectKeyFromObject(node)) {
		return "node " + node.Name
	}
	return "a node"
}

// RangeNameOf implements Namer for the requester in the context.
func (n ReaderNames) RangeNameOf(ctx context.Context, kind, name string) string {
	request, err := admission.RequestFromContext(ctx)
	group := v1alpha1.GroupVersion
	if kind == "ServiceCIDR" {
		group = networkingv1.SchemeGroupVersion
	}
	if err == nil && n.mayGet(ctx, request.UserInfo, resource{group.Group, group.Version, strings.ToLower(kind) + "s"}, types.NamespacedName{Name: name}) {
		return kind + " " + name
	}
	return "another " + kind
}

// resource is what a SubjectAccessReview is about.
type resource struct{ group, version, name string }

// mayGet asks the API server, in one request once. No answer counts as no.
func (n ReaderNames) mayGet(ctx context.Context, user authenticationv1.UserInfo, what resource, key types.NamespacedName) bool {
	known, ok := ctx.Value(reviewsKey{}).(reviews)
	if !ok {
		return n.review(ctx, user, what, key)
	}
	question := reviewed{what, key}
	if _, asked := known[question]; !asked && len(known) < maxReviews {
		known[question] = n.review(ctx, user, what, key)
	}
	return known[question]
}

// maxReviews is how many names one request may ask the API server for; the
// others are withheld.
const maxReviews = 20

// reviews are what one request has asked, by one goroutine.
type (
	reviews    map[reviewed]bool
	reviewsKey struct{}
	reviewed   struct {
		what resource
		key  types.NamespacedName
	}
)

// withReviews begins a request.
func withReviews(ctx context.Context) context.Context {
	return context.WithValue(ctx, reviewsKey{}, reviews{})
}

func (n ReaderNames) review(ctx context.Context, user authenticationv1.UserInfo, what resource, key types.NamespacedName) bool {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: map[string]authorizationv1.ExtraValue{},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "get", Group: what.group, Version: what.version, Resource: what.name, Namespace: key.Namespace, Name: key.Name,
		},
	}}
	for key, values := range user.Extra {
		review.Spec.Extra[key] = authorizationv1.ExtraValue(values)
	}
	if err := n.Reviews.Create(ctx, review); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Withheld a name", "resource", what.name, "user", user.Username)
		return false
	}
	return review.Status.Allowed
}

// namer is Names, or one that tells every name.
func (c *Cluster) namer() Namer {
	if c.Names != nil {
		return c.Names
	}
	return everyName{}
}

// NameOf implements Namer.
func (c *Cluster) NameOf(ctx context.Context, svc *corev1.Service) string {
	return c.namer().NameOf(ctx, svc)
}

// PodNameOf implements Namer.
func (c *Cluster) PodNameOf(ctx context.Context, pod *corev1.Pod) (string, bool) {
	return c.namer().PodNameOf(ctx, pod)
}

// NodeNameOf implements Namer.
func (c *Cluster) NodeNameOf(ctx context.Context, node *corev1.Node) string {
	return c.namer().NodeNameOf(ctx, node)
}

// RangeNameOf implements Namer.
func (c *Cluster) RangeNameOf(ctx context.Context, kind, name string) string {
	return c.namer().RangeNameOf(ctx, kind, name)
}

// everyName is a Namer for those who may read everything.
type everyName struct{}

func (everyName) NameOf(_ context.Context, svc *corev1.Service) string {
	return "Service " + client.ObjectKeyFromObject(svc).String()
}

func (everyName) PodNameOf(_ context.Context, pod *corev1.Pod) (string, bool) {
	return "pod " + client.ObjectKeyFromObject(pod).String(), true
}

func (everyName) NodeNameOf(_ context.Context, node *corev1.Node) string { return "node " + node.Name }

func (everyName) RangeNameOf(_ context.Context, kind, name string) string { return kind + " " + name }

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

package admission

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/cmd/manager/app"
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/internal/localcluster/manifests"
)

// installRoles creates what config/local says, except the webhooks and their
// Service, which envtest points at this process in its own way.
func installRoles() {
	for document := range strings.SplitSeq(manifests.Install, "\n---\n") {
		object := &unstructured.Unstructured{}
		Expect(yaml.Unmarshal([]byte(document), &object.Object)).To(Succeed())
		switch object.GetKind() {
		case "Service", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
			continue
		}
		Expect(client.IgnoreAlreadyExists(api.Create(context.Background(), object))).To(Succeed())
	}
}

var _ = Describe("The manager's roles", Ordered, func() {
	It("suffice for everything it can be told to do", func() {
		manager := start(func(options *app.Options) {
			options.Allocation = allocator.Authoritative
			options.Endpoints = controllers.EndpointsAll
			options.LeaderElect = true
		})
		DeferCleanup(manager.stop)
		namespace := newNamespace(nil)

		By("choosing a Service's numbers")
		public := makeService(namespace, "public").Service
		public.Spec.Type = corev1.ServiceTypeNodePort
		Expect(warnings.during(func() error { return create(public) })).To(BeEmpty())
		Expect(public.Spec.Ports[0].NodePort).NotTo(BeZero())

		By("judging a number that it chose itself")
		expectDrawnPortsTold("edge-67")

		By("refusing a number to what is being deleted")
		expectNoNumberGained()

		By("writing Endpoints and EndpointSlices for a Service")
		Expect(create(makeService(namespace, "web").selects("web").Service)).To(Succeed())
		Eventually(slicesOf).WithArguments(namespace, "web").Should(HaveLen(1))
		Eventually(func() error {
			return api.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: "web"}, &corev1.Endpoints{})
		}).Should(Succeed())

		By("mirroring Endpoints that a user wrote")
		Expect(create(makeService(namespace, "outside").Service)).To(Succeed())
		Expect(create(makeEndpoints(namespace, "outside", "192.0.2.1"))).To(Succeed())
		Eventually(slicesOf).WithArguments(namespace, "outside").Should(HaveLen(1))
	})
})

func slicesOf(namespace, service string) ([]discoveryv1.EndpointSlice, error) {
	var list discoveryv1.EndpointSliceList
	err := api.List(context.Background(), &list, client.InNamespace(namespace), client.MatchingLabels{discoveryv1.LabelServiceName: service})
	return list.Items, err
}

// tenantOf is a client of somebody who may do anything to the Services and the
// endpoints of one namespace and nothing else.
func tenantOf(namespace string) client.Client {
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tenant"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"services", "services/status", "endpoints"}, Verbs: []string{"*"}},
			{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"*"}},
		},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "tenant"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "tenant"}},
	}
	Expect(create(role)).To(Succeed())
	Expect(create(binding)).To(Succeed())
	config := rest.CopyConfig(admin)
	config.Impersonate = rest.ImpersonationConfig{UserName: "tenant"}
	config.WarningHandler = warnings
	tenant, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	// The server's authorizer learns of a binding by a watch.
	Eventually(func() (bool, error) {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "create", Resource: "services"},
		}}
		err := tenant.Create(context.Background(), review)
		return review.Status.Allowed, err
	}).Should(BeTrue())
	return tenant
}

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

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var _ = Describe("The role view", func() {
	It("reads what says whose a number is, and writes nothing of it", func() {
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "viewer"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "switchyard-view"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "viewer"}},
		}
		Expect(create(binding)).To(Succeed())
		DeferCleanup(func() { Expect(api.Delete(context.Background(), binding)).To(Succeed()) })
		may := func(verb, group, resource string) bool {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "viewer", ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: group, Resource: resource},
			}}
			Expect(create(review)).To(Succeed())
			return review.Status.Allowed
		}
		for group, resources := range map[string][]string{
			"switchyard.dev":    {"portpools", "addresspools", "portreservations", "addressreservations"},
			"networking.k8s.io": {"ipaddresses", "servicecidrs"},
		} {
			for _, resource := range resources {
				Eventually(may).WithArguments("list", group, resource).Should(BeTrue(), resource)
				Expect(may("create", group, resource)).To(BeFalse(), resource)
			}
		}
	})
})

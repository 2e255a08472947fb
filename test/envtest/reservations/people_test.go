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

package reservations

import (
	"context"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/test/testenv"
)

// The roles are part of those of Kubernetes by a label, which a controller that
// does not run here adds up; so each is bound by itself.
var _ = Describe("The roles for people", func() {
	const read, write = "list", "update"
	may := func(ctx context.Context, user, verb, resource string) bool {
		GinkgoHelper()
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               user,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Group: "switchyard.dev", Resource: resource, Verb: verb},
		}}
		Expect(admin.Create(ctx, review)).To(Succeed())
		return review.Status.Allowed
	}

	DescribeTable("give what they are for", func(ctx SpecContext, name, aggregated string, rights map[string][]string) {
		data, err := os.ReadFile(filepath.Join(testenv.Root(), "config", "rbac", name+"_role.yaml"))
		Expect(err).NotTo(HaveOccurred())
		role := &rbacv1.ClusterRole{}
		Expect(yaml.UnmarshalStrict(data, role)).To(Succeed())
		if aggregated == "" {
			Expect(role.Labels).NotTo(ContainElement("true"))
		} else {
			Expect(role.Labels).To(HaveKeyWithValue("rbac.authorization.k8s.io/aggregate-to-"+aggregated, "true"))
		}
		role.Name = "people-" + name
		role.Labels = nil
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role.Name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
		}
		Expect(admin.Create(ctx, role)).To(Succeed())
		Expect(admin.Create(ctx, binding)).To(Succeed())
		got := map[string][]string{}
		Eventually(func() map[string][]string {
			for _, verb := range []string{read, write} {
				got[verb] = nil
				for _, resource := range []string{"addresspools", "addressreservations", "portpools", "portreservations"} {
					if may(ctx, name, verb, resource) {
						got[verb] = append(got[verb], resource)
					}
				}
			}
			return got
		}).Should(Equal(rights))
		Expect(may(ctx, name, write, "portreservations/status")).To(BeFalse())
	},
		Entry("users of namespaces see pools", "pool_viewer", "", map[string][]string{read: {"addresspools", "portpools"}, write: nil}),
		Entry("view", "view", "view", map[string][]string{read: {"addresspools", "addressreservations", "portpools", "portreservations"}, write: nil}),
		Entry("edit", "edit", "edit", map[string][]string{read: nil, write: {"addressreservations", "portreservations"}}),
		Entry("admin", "admin", "admin", map[string][]string{read: nil, write: {"addresspools", "portpools"}}),
	)
})

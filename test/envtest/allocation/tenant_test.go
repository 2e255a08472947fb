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

package allocation

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// tenants is what is told to users who may not read everything.
func tenants(s *scene) {
	It("does not name the holder to a tenant who may not read it", func(ctx SpecContext) {
		secret := service("secret", corev1.ServiceTypeNodePort, 30003)
		s.create(ctx, secret)
		s.observed(secret)
		theirs := service("theirs", corev1.ServiceTypeNodePort, 30003)
		theirs.Namespace = "team-b"
		denied := refusal(s.tenant(ctx, "bob", "team-b").Create(ctx, theirs),
			"30003: held by a Service of another namespace; free: 30004-30019")
		Expect(denied.Message).NotTo(Or(ContainSubstring("secret"), ContainSubstring("team-a")))
	})
}

// tenant is a user that may do anything with the Services of one namespace.
func (s *scene) tenant(ctx context.Context, name, namespace string) client.Client {
	GinkgoHelper()
	impersonated := rest.CopyConfig(s.cfg)
	impersonated.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	for _, object := range tenantRole(name, namespace) {
		Expect(client.IgnoreAlreadyExists(s.admin.Create(ctx, object))).To(Succeed())
	}
	c, err := client.New(impersonated, client.Options{Scheme: clientgoscheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func tenantRole(user, namespace string) []client.Object {
	return []client.Object{
		&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"*"}}},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		},
	}
}

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

package numbers

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/localcluster/manifests"
)

// managerAccount is the service account that managers run as.
const managerAccount = "switchyard-manager"

// installRoles creates the accounts and roles that an installation has.
func (s *Server) installRoles(ctx context.Context) {
	ginkgo.GinkgoHelper()
	for document := range strings.SplitSeq(manifests.Install, "\n---\n") {
		object := &unstructured.Unstructured{}
		gomega.Expect(yaml.Unmarshal([]byte(document), &object.Object)).To(gomega.Succeed())
		if object.GetKind() == "ServiceAccount" || strings.HasPrefix(object.GetAPIVersion(), "rbac.") {
			gomega.Expect(s.Admin.Create(ctx, object)).To(gomega.Succeed())
		}
	}
	// The server's authorizer learns of a binding by a watch.
	manager, err := client.New(s.managerConfig(&denials{}), client.Options{Scheme: s.scheme})
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	for _, right := range []authorizationv1.ResourceAttributes{
		{Verb: "list", Resource: "services"},
		{Verb: "create", Resource: "services", Namespace: Namespace},
	} {
		gomega.Eventually(func() (bool, error) {
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &right}}
			err := manager.Create(ctx, review)
			return review.Status.Allowed, err
		}).Should(gomega.BeTrue(), "%s %s", right.Verb, right.Resource)
	}
}

// managerConfig is that of a manager in a cluster: with no rights but those of its
// roles. What it is denied goes to the list.
func (s *Server) managerConfig(denied *denials) *rest.Config {
	config := rest.CopyConfig(s.Config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + Namespace + ":" + managerAccount,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + Namespace, "system:authenticated"},
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return roundTripper{next, denied} })
	return config
}

// denials are the requests that were answered with 403.
type denials struct {
	mu   sync.Mutex
	list []string
}

func (d *denials) add(request string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, request)
}

func (d *denials) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.list)
}

// roundTripper notes what is denied.
type roundTripper struct {
	next   http.RoundTripper
	denied *denials
}

func (t roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusForbidden {
		t.denied.add(request.Method + " " + request.URL.Path)
	}
	return response, err
}

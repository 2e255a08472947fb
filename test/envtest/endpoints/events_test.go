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

package endpoints

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The API server refuses Events that are too long, and nobody would be told.
var _ = Describe("What goes wrong", func() {
	// told are the notes of a Service's Events of one reason.
	told := func(s scene, service, reason string) func() []string {
		return func() []string {
			GinkgoHelper()
			var list eventsv1.EventList
			Expect(api.List(s, &list, client.InNamespace(s.namespace))).To(Succeed())
			var notes []string
			for _, event := range list.Items {
				if event.Regarding.Kind == "Service" && event.Regarding.Name == service && event.Reason == reason {
					notes = append(notes, event.Note)
				}
			}
			return notes
		}
	}

	It("is told with the names of a few pods, however many there are", func(ctx SpecContext) {
		s := newScene(ctx)
		for i := range 30 {
			s.pod(fmt.Sprintf("web-%02d-%s", i, strings.Repeat("x", 40)), "web", fmt.Sprint(i+1), onNode("node-unknown"))
		}
		s.service("web", dualStack)
		Eventually(told(s, "web", "FailedToUpdateEndpointSlices")).Should(ContainElement(
			MatchRegexp("leaving out pods web-00-x+, web-01-x+, web-02-x+ and 27 more: their nodes are not known$")))
	})

	It("is told in part where it takes too many words", func(ctx SpecContext) {
		s := newScene(ctx)
		s.refuseSlices(strings.Repeat("ä", 1500))
		s.service("web")
		Eventually(told(s, "web", "FailedToUpdateEndpointSlices")).Should(ContainElement(
			And(ContainSubstring("ää"), HaveSuffix("ä..."), WithTransform(func(note string) int { return len(note) }, BeNumerically("<=", 1024)))))
	})
})

// refuseSlices has the API server create no more slices in the namespace, and
// returns when it does so.
func (s scene) refuseSlices(why string) {
	GinkgoHelper()
	inNamespace := &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.namespace}}
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: inNamespace,
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule: admissionv1.Rule{
						APIGroups: []string{discoveryv1.GroupName}, APIVersions: []string{"v1"}, Resources: []string{"endpointslices"},
					},
				}}},
			},
			Validations: []admissionv1.Validation{{Expression: "false", Message: why}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: s.namespace, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}
	for _, object := range []client.Object{policy, binding} {
		Expect(api.Create(s, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(api.Delete(ctx, object)).To(Succeed()) })
	}
	Eventually(func() error {
		return api.Create(s, &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "probe"}, AddressType: discoveryv1.AddressTypeIPv4,
		}, client.DryRunAll)
	}).Should(MatchError(ContainSubstring(why)))
}

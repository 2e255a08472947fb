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
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// interrupted answers lists of one kind with a first page, and no second one.
func interrupted(kind string, failure error, fill func(client.ObjectList, client.ListOptions)) *access {
	return &access{list: func(list client.ObjectList, o client.ListOptions) error {
		if kindOf(list) != kind || o.FieldSelector != nil {
			return nil
		}
		if o.Continue != "" {
			return failure
		}
		fill(list, o)
		list.SetContinue("more")
		return errEmpty
	}}
}

// The first pages of a list are not the whole: what is on the others would be taken
// for something that does not exist.
func TestListsThatFailInTheMiddleAreNotSeen(t *testing.T) {
	deny := &networkingv1.NetworkPolicy{ObjectMeta: objectMeta("shop", "deny"), Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}}}
	for kind, tc := range map[string]struct {
		fill   func(client.ObjectList, client.ListOptions)
		unseen string
	}{
		"NodeList": {func(l client.ObjectList, _ client.ListOptions) {
			l.(*corev1.NodeList).Items = []corev1.Node{*node("n0", "192.0.2.9", "10.9.0.0/24")}
		}, "Nodes ("},
		"PodList": {func(l client.ObjectList, o client.ListOptions) {
			switch o.Namespace {
			case "shop":
				l.(*corev1.PodList).Items = []corev1.Pod{*pod("shop", "web-a", "n1", "10.1.0.1", "app", "web")}
			case "kube-system":
				l.(*corev1.PodList).Items = []corev1.Pod{*kubeProxy("n1")}
			}
		}, "Pods ("},
		"EndpointSliceList": {func(l client.ObjectList, _ client.ListOptions) {
			l.(*discoveryv1.EndpointSliceList).Items = []discoveryv1.EndpointSlice{*web()[1].(*discoveryv1.EndpointSlice)}
			l.(*discoveryv1.EndpointSliceList).Items[0].Endpoints = nil
		}, "EndpointSlices ("},
		"NetworkPolicyList": {func(l client.ObjectList, _ client.ListOptions) {
			l.(*networkingv1.NetworkPolicyList).Items = []networkingv1.NetworkPolicy{*deny}
		}, "NetworkPolicies ("},
	} {
		for name, failure := range map[string]error{"late": apierrors.NewResourceExpired("too old"), "refused": forbidden("things")} {
			t.Run(kind+" "+name, func(t *testing.T) {
				a := asker(t, interrupted(kind, failure, tc.fill), append(web(), kubeProxy("n1"), kubeProxy("n2"))...)
				answer := ask(t, a, shopWeb)
				if state := answer.Verdict.State; state != diagnosis.OK && state != diagnosis.Unknown {
					answer.says(t, diagnosis.Unknown, "")
				}
				if !slices.ContainsFunc(answer.Unseen, func(line string) bool { return strings.HasPrefix(line, tc.unseen) }) {
					t.Errorf("not seen: %q, want %s", answer.Unseen, tc.unseen)
				}
			})
		}
	}
}

// Pods of agents that could not be listed are missing from no node.
func TestAgentsThatCouldNotAllBeListed(t *testing.T) {
	rules := &access{list: func(list client.ObjectList, o client.ListOptions) error {
		if kindOf(list) == "PodList" && o.Namespace == system {
			return forbidden("pods")
		}
		return nil
	}}
	answer := ask(t, asker(t, rules, append(web(), kubeProxy("n1"))...), shopWeb)
	answer.says(t, diagnosis.OK, "")
	if lines := strings.Join(answer.Unseen, "\n"); !strings.Contains(lines, "pods of what programs some nodes (you may not read them)") {
		t.Errorf("not seen: %q", lines)
	}
}

// An ExternalName is not told that its Service does not exist where not all could be
// listed.
func TestNamesThatCouldNotAllBeListed(t *testing.T) {
	objects := web()
	objects[0].(*corev1.Service).Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "db.data.svc.cluster.local"}
	rules := interrupted("ServiceList", errors.New("late"), func(l client.ObjectList, _ client.ListOptions) {
		if list, is := l.(*metav1.PartialObjectMetadataList); is {
			list.Items = []metav1.PartialObjectMetadata{{ObjectMeta: objectMeta("data", "other")}}
		}
	})
	a := asker(t, rules, objects...)
	if answer := ask(t, a, shopWeb); answer.Verdict.Reason == diagnosis.ExternalNameNotFound {
		answer.says(t, diagnosis.OK, "")
	}
	if names, err := serviceNames(t.Context(), a.Reader); err == nil || len(names) > 0 {
		t.Errorf("%v, %v", names, err)
	}
}

// Policies of the client's namespace are others than the Service's.
func TestPoliciesThatCouldNotBeReadAreToldByNamespace(t *testing.T) {
	for namespace, want := range map[string]string{"shop": "NetworkPolicies (you may", "pay": "NetworkPolicies of namespace pay (you may"} {
		rules := &access{list: func(list client.ObjectList, o client.ListOptions) error {
			if kindOf(list) == "NetworkPolicyList" && o.Namespace == namespace {
				return forbidden("networkpolicies")
			}
			return nil
		}}
		a := asker(t, rules, append(web(), pod("pay", "client", "n2", "10.1.1.9"), kubeProxy("n1"), kubeProxy("n2"))...)
		answer := ask(t, a, Question{Service: shopWeb.Service, Pod: key("pay", "client")})
		if len(answer.Unseen) != 1 || !strings.HasPrefix(answer.Unseen[0], want) {
			t.Errorf("%s: not seen: %q, want %s", namespace, answer.Unseen, want)
		}
		answer.says(t, diagnosis.Unknown, diagnosis.NotSeen)
	}
}

// What is not looked at is not kept: it is most of 10,000 pods.
func TestManagedFieldsAreNotKept(t *testing.T) {
	objects := web()
	for _, object := range objects {
		object.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "test", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte("{}")}}})
	}
	a := asker(t, &access{}, objects...)
	pods, err := collect(t.Context(), a.Reader, &corev1.PodList{}, podsOf, everything)
	if err != nil || len(pods) != 2 || pods[0].ManagedFields != nil {
		t.Errorf("%v, %v", pods, err)
	}
	some, err := collect(t.Context(), a.Reader, &corev1.PodList{}, podsOf, 1)
	if err != nil || len(some) == 0 {
		t.Errorf("%v, %v", some, err)
	}
}

// A Service of very many ports is told in lines that can be read.
func TestAnswersAreBounded(t *testing.T) {
	objects := web()
	spec := &objects[0].(*corev1.Service).Spec
	spec.Type, spec.Ports = corev1.ServiceTypeNodePort, nil
	for i := range int32(1000) {
		spec.Ports = append(spec.Ports, corev1.ServicePort{Name: fmt.Sprint("p", i), Port: 1000 + i, NodePort: 30000 + i, Protocol: corev1.ProtocolTCP})
	}
	answer := ask(t, asker(t, &access{}, objects...), shopWeb)
	if header := answer.header(); len(header) > 300 || !strings.HasSuffix(header, "and 990 more") {
		t.Errorf("%d characters: %s", len(header), header)
	}
	if len(answer.given) != maxGiven+1 || !strings.HasSuffix(answer.given[maxGiven], "see `switchyard who shop/web`") {
		t.Errorf("%d lines: %q", len(answer.given), answer.given)
	}
}

// What a proxy answers in the place of the API server is not repeated as a whole.
func TestReasonsAreBounded(t *testing.T) {
	reason := explain(errors.New("<html>\x1b[2J\n" + strings.Repeat("no ", 10_000)))
	if len(reason) > 300 || strings.ContainsAny(reason, "\x1b\n") {
		t.Errorf("%q", reason)
	}
}

// Times of objects are the API server's.
func TestWhatIsNewByTheAPIServersClock(t *testing.T) {
	then := time.Now().Add(-time.Hour)
	objects := web()
	objects[1].(*discoveryv1.EndpointSlice).Labels = nil // nobody has made one yet
	objects[0].SetCreationTimestamp(metav1.NewTime(then.Add(-time.Second)))
	a := asker(t, &access{}, objects...)
	ask(t, a, shopWeb).says(t, diagnosis.Problem, diagnosis.SlicesMissing)
	a.Now = func() time.Time { return then }
	if answer := ask(t, a, shopWeb); answer.Verdict.State == diagnosis.Problem {
		answer.says(t, diagnosis.Unknown, "")
	}
}

// Where nothing can be found, it is said whether there is a namespace at all.
func TestAServiceOfANamespaceThatDoesNotExist(t *testing.T) {
	a := asker(t, &access{}, web()...)
	ask(t, a, Question{Service: key("nope", "xyz")}).says(t, diagnosis.Problem, diagnosis.NotFound, "There is no namespace nope", "see `kubectl get services -A`")
	ask(t, a, Question{Service: key("pay", "xyz")}).says(t, diagnosis.Problem, diagnosis.NotFound, "There is no Service xyz in namespace pay")
}

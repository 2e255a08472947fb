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
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

var shopWeb = Question{Service: key("shop", "web")}

func serviceCIDR() *networkingv1.ServiceCIDR {
	return &networkingv1.ServiceCIDR{ObjectMeta: objectMeta("", "kubernetes"), Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.0.0.0/16"}},
		Status: networkingv1.ServiceCIDRStatus{Conditions: []metav1.Condition{{Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionTrue}}}}
}

func ipAddress(address, namespace, service string) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{ObjectMeta: objectMeta("", address), Spec: networkingv1.IPAddressSpec{
		ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: namespace, Name: service}}}
}

// ask fails where there is no answer.
func ask(t *testing.T, a Asker, q Question) *Answer {
	t.Helper()
	answer, err := a.Ask(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// says checks the verdict.
func (a *Answer) says(t *testing.T, state diagnosis.State, reason diagnosis.Reason, parts ...string) {
	t.Helper()
	if a.Verdict.State != state || a.Verdict.Reason != reason {
		t.Errorf("verdict %s %s, want %s %s", a.Verdict.State, a.Verdict.Reason, state, reason)
	}
	for _, part := range parts {
		if !strings.Contains(a.Verdict.Sentence, part) {
			t.Errorf("%q is not in the verdict", part)
		}
	}
	if t.Failed() {
		var text strings.Builder
		_ = a.Print(&text, true)
		t.Log(text.String())
	}
}

func TestAServiceThatAnswers(t *testing.T) {
	a := asker(t, &access{}, append(web(), kubeProxy("n1"), kubeProxy("n2"))...)
	answer := ask(t, a, shopWeb)
	answer.says(t, diagnosis.OK, "")
	if len(answer.Unseen) > 0 {
		t.Errorf("not seen: %q", answer.Unseen)
	}
	step, _ := answer.Step(diagnosis.CheckAddresses)
	if want := []string{"10.0.0.10 is of ServiceCIDR kubernetes (10.0.0.0/16)"}; !slices.Equal(step.Details, want) {
		t.Errorf("addresses: %q, want %q", step.Details, want)
	}
	if step, _ := answer.Step(diagnosis.CheckAgents); step.State != diagnosis.OK {
		t.Errorf("agents: %+v", step)
	}
}

// kindOf names what a list or object is of: PodList, Pod.
func kindOf(object any) string {
	if o, ok := object.(interface{ GetObjectKind() schema.ObjectKind }); ok && o.GetObjectKind().GroupVersionKind().Kind != "" {
		return o.GetObjectKind().GroupVersionKind().Kind
	}
	return reflect.TypeOf(object).Elem().Name()
}

// Whatever else can not be read, there is an answer, which names it once.
func TestWhatCannotBeReadIsNamed(t *testing.T) {
	other := networkingv1.NetworkPolicy{ObjectMeta: objectMeta("shop", "some")}
	other.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}, {From: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}}}}}
	for reason, failure := range map[string]error{
		mayNot:       forbidden("things"),
		notServed:    &apimeta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "Thing"}},
		"it is late": errors.New("it is\nlate"),
	} {
		for kind, names := range map[string]string{
			"PodList": "Pods", "EndpointSliceList": "EndpointSlices", "NodeList": "Nodes", "NetworkPolicyList": "NetworkPolicies",
			"ServiceList": allServices, "IPAddressList": "IPAddresses", "PortPoolList": "PortPools", "Endpoints": "Endpoints", "Namespace": "namespace shop",
		} {
			if reason != mayNot && reason != notServed && (kind == "IPAddressList" || kind == "PortPoolList") {
				names = allServices // all of it is given up
			}
			t.Run(kind+" "+reason, func(t *testing.T) {
				failed := false
				rules := &access{
					list: func(list client.ObjectList, _ client.ListOptions) error {
						if kindOf(list) == kind {
							failed = true
							return failure
						}
						return nil
					},
					get: func(_ client.ObjectKey, object client.Object) error {
						if kindOf(object) == kind {
							failed = true
							return failure
						}
						return nil
					},
				}
				answer := ask(t, asker(t, rules, append(web(), &other, kubeProxy("n1"), kubeProxy("n2"))...), shopWeb)
				lines := strings.Join(answer.Unseen, "\n")
				if !failed || strings.Count(lines, names) != 1 || !strings.Contains(lines, reason+")") {
					t.Errorf("not seen: %q, want %s once", answer.Unseen, names)
				}
				if state := answer.Verdict.State; state != diagnosis.OK && state != diagnosis.Unknown {
					answer.says(t, diagnosis.OK, "")
				}
			})
		}
	}
}

func TestAServiceThatMayNotBeReadIsAnError(t *testing.T) {
	rules := &access{get: func(_ client.ObjectKey, object client.Object) error {
		if _, is := object.(*corev1.Service); is {
			return forbidden("services")
		}
		return nil
	}}
	if answer, err := asker(t, rules, web()...).Ask(t.Context(), shopWeb); err == nil {
		t.Errorf("there is an answer: %+v", answer.Report)
	}
}

func TestAServiceThatDoesNotExist(t *testing.T) {
	a := asker(t, &access{}, web()...)
	ask(t, a, Question{Service: key("shop", "wep")}).says(t, diagnosis.Problem, diagnosis.NotFound, "no Service wep", "web")
	ask(t, a, Question{Service: key("pay", "web")}).says(t, diagnosis.Problem, diagnosis.NotFound, "namespace shop")
	// Who may not look for it elsewhere is told the same, without that.
	nothing := &access{list: func(client.ObjectList, client.ListOptions) error { return forbidden("services") }}
	answer := ask(t, asker(t, nothing, web()...), Question{Service: key("pay", "web")})
	answer.says(t, diagnosis.Problem, diagnosis.NotFound, "no Service web in namespace pay")
	if len(answer.Unseen) > 0 {
		t.Errorf("not seen: %q", answer.Unseen)
	}
}

// The namespace's other pods are asked for only while the selector matches none.
func TestOtherPodsAreReadOnlyWhenNoneMatches(t *testing.T) {
	for _, value := range []string{"web", "wep"} {
		unselected := 0
		rules := &access{list: func(list client.ObjectList, o client.ListOptions) error {
			if kindOf(list) == "PodList" && o.Namespace == "shop" && o.LabelSelector == nil {
				unselected++
			}
			if o.Limit > pageSize || o.Limit == 0 {
				t.Errorf("%s without a limit", kindOf(list))
			}
			return nil
		}}
		objects := web()
		objects[0].(*corev1.Service).Spec.Selector["app"] = value
		answer := ask(t, asker(t, rules, objects...), shopWeb)
		if value == "web" && unselected != 0 {
			t.Error("all pods are read although some match")
		}
		if value == "wep" {
			answer.says(t, diagnosis.Problem, diagnosis.NoMatchingPods, "app=wep", "web-a")
		}
	}
}

func TestClients(t *testing.T) {
	client := pod("pay", "client", "n2", "10.1.1.9")
	client.Status.PodIPs = append(client.Status.PodIPs, corev1.PodIP{IP: "10.1.1.77"})
	a := asker(t, &access{}, append(web(), client)...)
	at := func(address string) Question {
		return Question{Service: shopWeb.Service, Address: netip.MustParseAddr(address)}
	}
	for name, tc := range map[string]struct {
		question Question
		want     string
	}{
		"a pod":                              {Question{Service: shopWeb.Service, Pod: key("pay", "client")}, "from pod pay/client on node n2"},
		"the address of a pod":               {at("10.1.1.9"), "from pod pay/client on node n2"},
		"its other address":                  {at("10.1.1.77"), "from pod pay/client on node n2"},
		"a node":                             {Question{Service: shopWeb.Service, Node: "n2"}, "from node n2"},
		"the address of a node":              {at("192.0.2.2"), "from node n2"},
		"an address outside":                 {at("203.0.113.7"), "from 203.0.113.7"},
		"an address of nobody in the ranges": {at("10.1.1.200"), "from 10.1.1.200"},
		"anybody":                            {shopWeb, "80/TCP"},
	} {
		t.Run(name, func(t *testing.T) {
			if header := ask(t, a, tc.question).header(); !strings.HasSuffix(header, tc.want) {
				t.Errorf("%q, want it to end with %q", header, tc.want)
			}
		})
	}
	if _, err := a.Ask(t.Context(), Question{Service: shopWeb.Service, Pod: key("shop", "client")}); err == nil || !strings.Contains(err.Error(), "no pod shop/client") {
		t.Errorf("a client that does not exist: %v", err)
	}
	if _, err := a.Ask(t.Context(), Question{Service: shopWeb.Service, Node: "n3"}); err == nil || !strings.Contains(err.Error(), "there is no node n3") {
		t.Errorf("a node that does not exist: %v", err)
	}
}

// Of a private address it is not known whether it is a pod's, where pods of other
// namespaces and nodes may not be seen: a false answer would be worse than none.
func TestAClientThatCannotBeTold(t *testing.T) {
	rules := &access{list: func(list client.ObjectList, o client.ListOptions) error {
		if o.Namespace == "" {
			return forbidden(kindOf(list))
		}
		return nil
	}, get: func(key client.ObjectKey, object client.Object) error {
		if key.Namespace == "pay" {
			return forbidden("pods")
		}
		return nil
	}}
	a := asker(t, rules, append(web(), pod("pay", "client", "n2", "10.1.1.9"))...)
	for name, q := range map[string]Question{
		"whose address 10.1.1.9 is": {Service: shopWeb.Service, Address: netip.MustParseAddr("10.1.1.9")},
		"pod pay/client":            {Service: shopWeb.Service, Pod: key("pay", "client")},
	} {
		answer := ask(t, a, q)
		if answer.Client != nil || !strings.Contains(strings.Join(answer.Unseen, "\n"), name) {
			t.Errorf("%s: client %+v, not seen %q", name, answer.Client, answer.Unseen)
		}
	}
	// Pods have public addresses in some networks.
	for _, address := range []string{"203.0.113.7", "100.64.3.4", "2001:db8::5"} {
		answer := ask(t, a, Question{Service: shopWeb.Service, Address: netip.MustParseAddr(address)})
		if c := answer.Report.Client; c == nil || c.Address != address || c.Unseen != "you may not list the pods of all namespaces" {
			t.Errorf("%s: client %+v", address, c)
		}
		answer.says(t, diagnosis.Unknown, diagnosis.NotSeen)
	}
	pods := &access{list: func(list client.ObjectList, o client.ListOptions) error {
		if kindOf(list) == "PodList" && o.FieldSelector != nil {
			return errors.New("it takes too long")
		}
		return nil
	}}
	late := ask(t, asker(t, pods, append(web(), kubeProxy("n1"), kubeProxy("n2"))...), Question{Service: shopWeb.Service, Address: netip.MustParseAddr("10.1.1.9")})
	late.says(t, diagnosis.Unknown, diagnosis.NotSeen, "for anybody, but whose address 10.1.1.9 is could not be seen (it takes too long)")
	nodes := &access{list: func(list client.ObjectList, _ client.ListOptions) error {
		if kindOf(list) == "NodeList" {
			return forbidden("nodes")
		}
		return nil
	}}
	node := ask(t, asker(t, nodes, web()...), Question{Service: shopWeb.Service, Address: netip.MustParseAddr("192.0.2.1")})
	if node.Client != nil || node.Report.Client == nil {
		t.Errorf("an address that may be a node's: %+v", node.Client)
	}
}

// Nothing connects from a ClusterIP.
func TestAServiceIsNoClient(t *testing.T) {
	a := asker(t, &access{}, append(web(), ipAddress("10.0.0.99", "pay", "other"))...)
	for address, service := range map[string]string{"10.0.0.10": "shop/web", "10.0.0.99": "pay/other"} {
		_, err := a.Ask(t.Context(), Question{Service: shopWeb.Service, Address: netip.MustParseAddr(address)})
		if _, is := errors.AsType[*NoClientError](err); !is || !strings.Contains(err.Error(), "the ClusterIP of Service "+service) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Run("a ClusterIP that another has", func(t *testing.T) {
		twin := web()[0].(*corev1.Service).DeepCopy()
		twin.Name, twin.Namespace = "old", "pay"
		a := asker(t, &access{}, append(web(), twin)...)
		ask(t, a, shopWeb).says(t, diagnosis.Problem, "NumberHeldTwice", "10.0.0.10")
	})
	t.Run("a ClusterIP without a record works", func(t *testing.T) {
		objects := web()
		objects[3] = namespace("in-its-place")
		ask(t, asker(t, &access{}, objects...), shopWeb).says(t, diagnosis.Warning, "IPAddressMissing", "answers, but")
	})
	t.Run("what is wrong with others is not told", func(t *testing.T) {
		other := web()[0].(*corev1.Service).DeepCopy()
		other.Name, other.Spec.ClusterIP, other.Spec.ClusterIPs = "other", "10.99.0.1", []string{"10.99.0.1"}
		ask(t, asker(t, &access{}, append(web(), other)...), shopWeb).says(t, diagnosis.OK, "")
	})
	t.Run("what is half made is looked at again", func(t *testing.T) {
		looks := 0
		rules := &access{list: func(list client.ObjectList, _ client.ListOptions) error {
			if kindOf(list) == "IPAddressList" {
				looks++
				if looks == 1 {
					return errEmpty
				}
			}
			return nil
		}}
		ask(t, asker(t, rules, web()...), shopWeb).says(t, diagnosis.OK, "")
	})
}

// errEmpty is answered with an empty list.
var errEmpty = errors.New("empty")

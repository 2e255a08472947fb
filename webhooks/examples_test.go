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
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// shop is a small cluster in which each rule has something to object to.
func shop() []client.Object {
	teamA := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}
	in := func(namespace string, svc *corev1.Service) *corev1.Service {
		svc.Namespace = namespace
		return svc
	}
	web := at(pod("web-1", named("web", corev1.ProtocolTCP)), "default", "10.244.1.6")
	return []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: teamA.MatchLabels}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other"}},
		in("shop", service("front", external("198.51.100.1"), clusterIP("10.96.0.50"))),
		in("shop", service("cloud", ingress("198.51.100.2"))),
		in("default", service("db", selecting("app", "db"))),
		in("default", service("api", alias("web.default.svc.cluster.local"))),
		in("shop", service("shared", sharing("shop", "edge", ""))),
		in("shop", service("lost", onNodePort(30082, corev1.ProtocolTCP))),
		node("node-1", "192.0.2.1", "10.244.1.0/24"),
		at(pod("db-0"), "shop", "10.244.1.5"), web,
		called(podOf("cache", "a"), "node-0", "cache"), called(podOf("cache", "b"), "node-0", "cache"),
		at(pod("proxy", corev1.ContainerPort{HostPort: 30080}), "edge", "10.244.1.7"),
		&networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/16"}}},
		&v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "team-a"}, Spec: v1alpha1.AddressPoolSpec{
			Use: v1alpha1.UseExternalIP, Addresses: []v1alpha1.AddressRange{"203.0.113.0/28"}, NamespaceSelector: teamA}},
		&v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "team-a"}, Spec: v1alpha1.PortPoolSpec{
			Ranges: []v1alpha1.PortRange{"31000-31099"}, NamespaceSelector: teamA}},
	}
}

func podOf(app, name string) *corev1.Pod {
	p := pod(name)
	p.Labels = map[string]string{"app": app}
	return p
}

// TestThePageShowsWhatTheRulesSay compares the messages of docs/admission.md with
// what the rules say of these objects.
func TestThePageShowsWhatTheRulesSay(t *testing.T) {
	tcp := corev1.ProtocolTCP
	cidr := cidrs("10.244.0.0/16")
	judged := map[string]any{
		"X1":  service("web", external("198.51.100.1")),
		"X2":  service("web", ingress("198.51.100.2")),
		"X3":  service("web", external("10.96.0.50")),
		"X4":  service("web", external("192.0.2.1"), port(22, tcp)),
		"X5":  service("web", external("8.8.8.8")),
		"X6":  service("web", onNodePort(30080, tcp)),
		"X7":  service("web", onNodePort(30081, tcp)),
		"X8":  BackendChange{Namespace: "default", After: BackendsOfSlice(slice(80, "10.96.0.50"))},
		"X9":  BackendChange{Namespace: "default", After: BackendsOfSlice(slice(80, "10.244.1.5"))},
		"X10": sliceChange(nil, sliceFor("db", "")),
		"X11": service("web", selecting("app", "web"), target("http", tcp)),
		"X12": service("db-2", selecting("app", "db")),
		"X13": service("web", selecting("app", "web"), inFamilies(corev1.IPv4Protocol, corev1.IPv6Protocol)),
		"X14": service("db-service"),
		"X15": service("web", alias("api.default.svc.cluster.local")),
		"X16": service("cache", selecting("app", "cache"), clusterIP(corev1.ClusterIPNone)),
		"X17": service("web", ofClass("example.com/typo")),
		"X18": service("web", sharing("default", "edge", "shop")),
		"X19": serviceCIDRChange(nil, cidr),
		"X20": service("web", onNodePort(30082, tcp)),
		"X21": service("web", external("192.0.2.1")),
	}
	world := cluster(t, shop(), shop())
	said := map[string]string{}
	for _, rule := range Table() {
		only := Severities{}
		for _, other := range Table() {
			only[other.ID] = Off
		}
		only[rule.ID] = rule.Default
		var verdict Verdict
		var err error
		switch change := judged[rule.ID].(type) {
		case *corev1.Service:
			verdict, err = ValidateService(t.Context(), world, only, ServiceChange{New: change})
		case BackendChange:
			verdict, err = ValidateBackends(t.Context(), world, only, change)
		case RangeChange:
			verdict, err = ValidateRanges(t.Context(), world, only, change)
		}
		if err != nil || len(verdict.Errors)+len(verdict.Warnings) != 1 {
			t.Errorf("%s: %v, %v", rule.ID, verdict, err)
			continue
		}
		message := append(verdict.Warnings, "")[0]
		if len(verdict.Errors) > 0 {
			message = verdict.Errors[0].Error()
		}
		said[rule.ID] = fmt.Sprintf("%s | %s | %s", rule.Name, rule.Default, message)
	}
	page, err := os.ReadFile("../docs/admission.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (X[0-9]+) \\| `([a-z-]+)` \\| ([a-z]+) \\| .* \\| `(.*)` \\|$").FindAllStringSubmatch(string(page), -1) {
		shown[row[1]] = fmt.Sprintf("%s | %s | %s", row[2], row[3], row[4])
	}
	if diff := cmp.Diff(shown, said); diff != "" {
		t.Errorf("docs/admission.md and the rules (-page +rules):\n%s", diff)
	}
}

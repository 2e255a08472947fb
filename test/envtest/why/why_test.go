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
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/why"
	"switchyard.dev/switchyard/test/examples"
)

func intOrString(n int32) intstr.IntOrString { return intstr.FromInt32(n) }

func shop(name string) why.Question {
	return why.Question{Service: types.NamespacedName{Namespace: "shop", Name: name}}
}

func TestWithoutSwitchyardAndWithFewRights(t *testing.T) {
	s := start(t)
	reader := s.reader(t)
	named := corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("http-web")}
	s.serve(t, "web", "web", named, true)
	s.serve(t, "sick", "sick", named, false)
	s.serve(t, "near", "naer", named, true)
	s.serve(t, "misnamed", "misnamed", corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("http")}, true)
	// RBAC follows by a watch of the API server.
	NewWithT(t).Eventually(func() error {
		return reader.Get(t.Context(), shop("web").Service, &corev1.Service{})
	}, 3*time.Minute, 50*time.Millisecond).Should(Succeed())
	t.Run("what is broken is said", func(t *testing.T) { brokenForAReader(t, asker(reader)) })
	t.Run("what could not be seen is said", func(t *testing.T) { unseenByAReader(t, asker(reader)) })
	t.Run("who may not read the Service is told so", func(t *testing.T) {
		_, err := asker(reader).Ask(t.Context(), why.Question{Service: types.NamespacedName{Namespace: "pay", Name: "web"}})
		if err == nil || !strings.Contains(err.Error(), "forbidden") {
			t.Errorf("%v", err)
		}
	})
	t.Run("an administrator sees all but what is not there", func(t *testing.T) { seenByAll(t, asker(s.admin)) })
	t.Run("what Switchyard would refuse", func(t *testing.T) { refusedElsewhere(t, s) })
}

func brokenForAReader(t *testing.T, a why.Asker) {
	for name, want := range map[string]struct {
		reason diagnosis.Reason
		says   string
	}{
		"sick":     {diagnosis.PodsNotReady, "sick-1: readiness probe connect tcp :8080 of container main fails"},
		"near":     {diagnosis.NoMatchingPods, "change spec.selector.app to near"},
		"misnamed": {diagnosis.NamedPortNotFound, "change spec.ports[0].targetPort to http-web"},
		"wbe":      {diagnosis.NotFound, "the namespace has web"},
	} {
		answer, err := a.Ask(t.Context(), shop(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if v := answer.Verdict; v.State != diagnosis.Problem || v.Reason != want.reason || !strings.Contains(v.Sentence, want.says) {
			t.Errorf("%s: %+v, want %s, %q", name, v, want.reason, want.says)
		}
	}
}

// unseenByAReader is the whole list: nothing is missing, nothing is invented.
func unseenByAReader(t *testing.T, a why.Asker) {
	answer, err := a.Ask(t.Context(), shop("web"))
	if err != nil {
		t.Fatal(err)
	}
	v := answer.Verdict
	if v.State != diagnosis.Unknown || !answer.EndpointsKnown() || !strings.HasPrefix(v.Sentence, "Nothing wrong was seen with Service shop/web, but ") {
		t.Errorf("%+v", v)
	}
	for _, what := range []string{"NetworkPolicies could not be read", "you may not list the Services of all namespaces"} {
		if !strings.Contains(v.Sentence, what) {
			t.Errorf("the verdict does not say %q: %s", what, v.Sentence)
		}
	}
	lines := strings.Join(answer.Unseen, "\n")
	for _, what := range []string{"Endpoints (you may not read them)", "NetworkPolicies (you may not read them)", "Nodes (you may not read them)",
		"Services of all namespaces (you may not read them)", "IPAddresses, ServiceCIDRs (you may not read them)",
		"(the API server does not serve them): no pools or reservations, as Switchyard is not installed here", "what programs the nodes (you may not list pods of",
		"the cluster's DNS server (you may not look at namespace kube-system)"} {
		if strings.Count(lines, what) != 1 {
			t.Errorf("%q is not said once to be unseen:\n%s", what, lines)
		}
	}
	for _, seen := range []string{"Pods (", "EndpointSlices ("} {
		if strings.Contains("\n"+lines, "\n"+seen) {
			t.Errorf("%q was seen:\n%s", seen, lines)
		}
	}
}

func seenByAll(t *testing.T, a why.Asker) {
	answer, err := a.Ask(t.Context(), shop("web"))
	if err != nil {
		t.Fatal(err)
	}
	// There are no nodes, and nothing that programs them, on an API server alone.
	for _, line := range answer.Unseen {
		if !strings.Contains(line, "does not serve them") && !strings.HasPrefix(line, "what programs the nodes (") {
			t.Errorf("it says that it has not seen %s", line)
		}
	}
	if v := answer.Verdict; v.State != diagnosis.OK {
		t.Errorf("%+v", v)
	}
}

// refusedElsewhere are the examples that Switchyard's admission keeps away.
func refusedElsewhere(t *testing.T, s *scene) {
	all, err := examples.Read()
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, e := range all {
		if e.Refused == "" {
			continue
		}
		asked++
		s.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: e.Name}})
		for _, object := range e.Objects {
			s.make(t, object)
		}
		question, err := why.Parse(e.Question[0], "", e.Name, "")
		if err != nil {
			t.Fatal(err)
		}
		answer, err := asker(s.admin).Ask(t.Context(), question)
		if err != nil {
			t.Fatal(err)
		}
		if v := answer.Verdict; v.State != e.State || v.Reason != e.Reason || !strings.Contains(v.Sentence, e.Says[0]) {
			t.Errorf("%s: %+v, want %s %s %q", e.Name, v, e.State, e.Reason, e.Says)
		}
	}
	if asked == 0 {
		t.Error("there is no such example")
	}
}

// make creates an object with its status.
func (s *scene) make(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	status, has := object.Object["status"]
	s.create(t, object)
	if !has {
		return
	}
	written := object.DeepCopy()
	written.Object["status"] = status
	if err := s.admin.Status().Patch(t.Context(), written, client.MergeFrom(object)); err != nil {
		t.Fatal(err)
	}
}

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
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// reserved is a world in which 10.96.0.1 may be nobody's external IP.
var reserved = &memory{cidrs: []ServiceCIDR{{"kubernetes", netip.MustParsePrefix("10.96.0.0/16")}}}

func TestRefusalIsAnInvalidObject(t *testing.T) {
	v := &ServiceValidator{Validation{World: reserved}}
	_, err := v.ValidateCreate(t.Context(), service("web", external("10.96.0.1")))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), `Service "web" is invalid: spec.externalIPs[0]`) {
		t.Errorf("got %v, want Invalid with the path", err)
	}
}

func TestExemptObjectsAreNotJudged(t *testing.T) {
	v := &ServiceValidator{Validation{World: reserved, Exempt: Exemptions{Namespace: "switchyard-system"}}}
	in := func(namespace, name string, labels map[string]string) *corev1.Service {
		svc := service(name, external("10.96.0.1"))
		svc.Namespace, svc.Labels = namespace, labels
		return svc
	}
	dns := map[string]string{"k8s-app": "kube-dns"}
	for name, tc := range map[string]struct {
		svc    *corev1.Service
		exempt bool
	}{
		"the API server's":               {in("default", "kubernetes", nil), false},
		"cluster DNS by name":            {in("kube-system", "kube-dns", nil), true},
		"cluster DNS by label":           {in("kube-system", "rke2-coredns", dns), true},
		"our own":                        {in("switchyard-system", "switchyard-webhook-service", nil), true},
		"another of kube-system":         {in("kube-system", "metrics-server", nil), false},
		"a user who copies the label":    {in("shop", "web", dns), false},
		"a user who copies the DNS name": {in("shop", "kube-dns", nil), false},
		"a user who copies the API's":    {in("shop", "kubernetes", nil), false},
	} {
		if _, err := v.ValidateCreate(t.Context(), tc.svc); (err == nil) != tc.exempt {
			t.Errorf("%s: exempt %v, but got %v", name, tc.exempt, err)
		}
	}
	for user, exempt := range map[string]bool{"system:apiserver": true, "dora": false} {
		if _, err := v.ValidateCreate(asUser(t, user), in("default", "kubernetes", nil)); (err == nil) != exempt {
			t.Errorf("the API server's, written by %s: exempt %v, but got %v", user, exempt, err)
		}
	}
}

// asUser is the context of somebody's request.
func asUser(t *testing.T, name string) context.Context {
	return admission.NewContextWithRequest(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UserInfo: authenticationv1.UserInfo{Username: name}}})
}

func TestWhatCanNotBeJudgedPassesUnlessAskedOtherwise(t *testing.T) {
	open := &ServiceValidator{Validation{World: &memory{broken: true}}}
	warnings, err := open.ValidateCreate(t.Context(), service("web", external("192.0.2.1")))
	if err != nil || len(warnings) != 1 || strings.Contains(warnings[0], errBroken.Error()) {
		t.Errorf("open: got %q and %v, want one warning that keeps the cause, which may name others, to the log", warnings, err)
	}
	soft := Severities{}
	for _, rule := range Table() {
		soft[rule.ID] = Warn
	}
	advised := &ServiceValidator{Validation{World: &memory{broken: true}, FailClosed: true, Severities: soft}}
	warnings, err = advised.ValidateCreate(t.Context(), service("web", external("192.0.2.1"), selecting("app", "web")))
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "could not judge rule X5, X1, X3, X4, X21, X12, X14; the manager's log") {
		t.Errorf("closed, but every rule only warns: got %q and %v, want one warning", warnings, err)
	}
	closed := &ServiceValidator{Validation{World: &memory{broken: true}, FailClosed: true}}
	if _, err = closed.ValidateCreate(t.Context(), service("web", external("192.0.2.1"))); !apierrors.IsServiceUnavailable(err) ||
		strings.Contains(err.Error(), errBroken.Error()) {
		t.Errorf("closed: got %v, want ServiceUnavailable", err)
	}
}

// half is a world that can not say where the API server is.
type half struct{ *memory }

func (half) APIServers(context.Context) ([]netip.AddrPort, error) { return nil, errBroken }

func TestABrokenRuleRefusesWhateverElseCanNotBeJudged(t *testing.T) {
	holder := service("holder", external("192.0.2.1"))
	for name, asked := range map[string]*corev1.Service{
		"by another rule":           service("web", external("192.0.2.1")),
		"by the rest of this rule":  service("web", external("10.96.0.1", "192.0.2.2")),
		"by both, before and after": service("web", external("192.0.2.2", "192.0.2.1")),
	} {
		world := half{&memory{services: []*corev1.Service{holder}, cidrs: reserved.cidrs}}
		v := &ServiceValidator{Validation{World: world}}
		if _, err := v.ValidateCreate(t.Context(), asked); !apierrors.IsInvalid(err) {
			t.Errorf("%s: got %v, want Invalid", name, err)
		}
	}
}

func TestEndpointControllersAreNotJudgedAndLabelsDoNotHelp(t *testing.T) {
	v := EndpointSliceValidator(Validation{World: reserved, Exempt: Exemptions{
		Namespace: "switchyard-system", EndpointWriters: []string{"system:serviceaccount:mesh:linker"}}})
	bad := slice(80, "10.96.0.1")
	bad.Labels = map[string]string{discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io", discoveryv1.LabelServiceName: "web"}
	for user, exempt := range map[string]bool{
		"system:serviceaccount:kube-system:endpointslice-controller":   true,
		"system:kube-controller-manager":                               true,
		"system:serviceaccount:switchyard-system:switchyard-manager":   true,
		"system:serviceaccount:switchyard-system-2:switchyard-manager": false,
		"system:serviceaccount:mesh:linker":                            true,
		"system:serviceaccount:mesh:linker2":                           false,
		"alice":                                                        false,
	} {
		if _, err := v.ValidateCreate(asUser(t, user), bad); (err == nil) != exempt {
			t.Errorf("%s: exempt %v, but got %v", user, exempt, err)
		}
	}
}

func TestAuditRefusesNothing(t *testing.T) {
	denials := testutil.ToFloat64(findingsCounter.WithLabelValues("X3", string(Deny)))
	audited := testutil.ToFloat64(findingsCounter.WithLabelValues("X3", actionAudit))
	v := &ServiceValidator{Validation{World: reserved, Audit: true, FailClosed: true}}
	warnings, err := v.ValidateCreate(t.Context(), service("web", external("10.96.0.1")))
	if err != nil || len(warnings) != 1 || !strings.HasPrefix(warnings[0], "would be refused: spec.externalIPs[0]") {
		t.Errorf("got %q and %v, want a warning", warnings, err)
	}
	if got := testutil.ToFloat64(findingsCounter.WithLabelValues("X3", actionAudit)) - audited; got != 1 {
		t.Errorf("%v findings counted as audited, want 1", got)
	}
	if got := testutil.ToFloat64(findingsCounter.WithLabelValues("X3", string(Deny))) - denials; got != 0 {
		t.Errorf("%v findings counted as denied, want 0", got)
	}
	v.World = &memory{broken: true}
	if _, err = v.ValidateCreate(t.Context(), service("web", external("192.0.2.1"))); err != nil {
		t.Errorf("what can not be judged: %v", err)
	}
}

func TestAuditOfTheAllocationRefusesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		answer   admission.Response
		allowed  bool
		warnings []string
	}{
		"a refusal": {denied(apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), "web",
			field.ErrorList{field.Invalid(field.NewPath("spec"), 30080, "held by Service default/db")})), true,
			[]string{`would be refused: Service "web" is invalid: spec: Invalid value: 30080: held by Service default/db`}},
		"what is allowed":        {admission.Allowed("").WithWarnings("w"), true, []string{"w"}},
		"what could not be read": {admission.Errored(http.StatusBadRequest, errBroken), false, nil},
		"what is to be tried":    {denied(apierrors.NewServiceUnavailable("try again")), false, nil},
	} {
		handler := auditedHandler{admission.HandlerFunc(func(context.Context, admission.Request) admission.Response { return tc.answer })}
		got := handler.Handle(t.Context(), admission.Request{})
		if diff := cmp.Diff(tc.warnings, got.Warnings); got.Allowed != tc.allowed || diff != "" {
			t.Errorf("%s: allowed %v (-want +got):\n%s", name, got.Allowed, diff)
		}
	}
}

// labelled is a NamespaceReader of one namespace.
type labelled map[string]string

func (l labelled) NamespaceLabels(context.Context, string) (labels.Set, error) {
	if l == nil {
		return nil, errBroken
	}
	return labels.Set(l), nil
}

func TestNamespacesChangeSeverities(t *testing.T) {
	for name, tc := range map[string]struct {
		namespace labelled
		refused   bool
		warned    bool
	}{
		"no label":                     {labelled{}, true, false},
		"off":                          {labelled{"rule.switchyard.dev/X3": "off"}, false, false},
		"warn":                         {labelled{"rule.switchyard.dev/X3": "warn"}, false, true},
		"another rule":                 {labelled{"rule.switchyard.dev/X1": "off"}, true, false},
		"not a severity":               {labelled{"rule.switchyard.dev/X3": "never"}, true, false},
		"labels that can not be read":  {nil, true, false},
		"the name is not for labels":   {labelled{"rule.switchyard.dev/address-reserved": "off"}, true, false},
		"a label of another namespace": {labelled{"switchyard.dev/X3": "off"}, true, false},
	} {
		configured := Severities{}
		v := &ServiceValidator{Validation{World: reserved, Namespaces: tc.namespace, Severities: configured}}
		warnings, err := v.ValidateCreate(t.Context(), service("web", external("10.96.0.1")))
		if (err != nil) != tc.refused || (len(warnings) > 0) != tc.warned {
			t.Errorf("%s: got %q and %v", name, warnings, err)
		}
		if len(configured) > 0 {
			t.Errorf("%s: the configuration became %v", name, configured)
		}
	}
}

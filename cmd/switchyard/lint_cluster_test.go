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

package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/validation"
	"switchyard.dev/switchyard/internal/validation/lint"
	"switchyard.dev/switchyard/webhooks"
)

// indexes hands the webhooks' indexes to a client in memory.
type indexes struct{ *fake.ClientBuilder }

func (i indexes) IndexField(_ context.Context, object client.Object, name string, keys client.IndexerFunc) error {
	i.WithIndex(object, name, keys)
	return nil
}

// judgeOf is a judge of a cluster with some Services.
func judgeOf(t *testing.T, refuse error, services ...client.Object) *clusterJudge {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, networkingv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(services...)
	if err := webhooks.SetupIndexes(t.Context(), indexes{builder}); err != nil {
		t.Fatal(err)
	}
	if refuse != nil {
		builder = builder.WithInterceptorFuncs(interceptor.Funcs{
			List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return refuse },
		})
	}
	c := builder.Build()
	judge := judgeBy(c, c)
	judge.namespace = "shop"
	return judge
}

// external is a Service with an external IP.
func external(namespace, name, ip string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "u"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ExternalIPs: []string{ip}, Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}},
	}}
}

func TestLintHoldsManifestsAgainstACluster(t *testing.T) {
	there := []client.Object{external("shop", "a1", "198.51.100.1"), external("shop", "a2", "198.51.100.1")}
	for name, tc := range map[string]struct {
		manifest string
		rules    []string
	}{
		"an external IP that another has":       {manifest: externalManifest("b1", "198.51.100.1"), rules: []string{"X1"}},
		"one that is free":                      {manifest: externalManifest("b1", "198.51.100.2")},
		"a Service that is there, as it is":     {manifest: externalManifest("a1", "198.51.100.1")},
		"a Service that is there, with another": {manifest: externalManifest("a1", "198.51.100.2")},
	} {
		t.Run(name, func(t *testing.T) {
			in := lint.Read([]string{lint.Stdin}, strings.NewReader(tc.manifest))
			found, err := judgeOf(t, nil, there...).judge(t.Context())(in.Objects[0], validation.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var rules []string
			for _, f := range found {
				if f.Rule != "" && !slices.Contains(rules, f.Rule) {
					rules = append(rules, f.Rule)
				}
			}
			if diff := cmp.Diff(tc.rules, rules); diff != "" {
				t.Errorf("rules (-want +got):\n%s\nof %v", diff, found)
			}
		})
	}
}

func externalManifest(name, ip string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: {externalIPs: [" + ip + "], ports: [{port: 80}]}\n"
}

func TestLintNamesWhoHasANumber(t *testing.T) {
	web := external("shop", "web", "198.51.100.9")
	web.Spec.Type, web.Spec.ClusterIP, web.Spec.ClusterIPs = corev1.ServiceTypeLoadBalancer, "10.0.0.7", []string{"10.0.0.7", "fd00::7"}
	web.Spec.ExternalTrafficPolicy, web.Spec.HealthCheckNodePort, web.Spec.Ports[0].NodePort = corev1.ServiceExternalTrafficPolicyLocal, 30002, 30001
	const balancer = "type: LoadBalancer, externalTrafficPolicy: Local, "
	for spec, want := range map[string]string{
		"type: NodePort, ports: [{port: 80, nodePort: 30001}]":                               "spec.ports[0].nodePort: Invalid value: 30001: held by Service shop/web",
		"type: NodePort, ports: [{port: 80, name: a}, {port: 81, name: b, nodePort: 30002}]": "spec.ports[1].nodePort: Invalid value: 30002: held by Service shop/web",
		balancer + "healthCheckNodePort: 30001, ports: [{port: 80}]":                         "spec.healthCheckNodePort: Invalid value: 30001: held by Service shop/web",
		"clusterIP: fd00::7, ports: [{port: 80}]":                                            `spec.clusterIPs[0]: Invalid value: "fd00::7": held by Service shop/web`,
		"type: NodePort, ports: [{port: 80, nodePort: 30003}]":                               "",
	} {
		in := lint.Read([]string{lint.Stdin}, strings.NewReader("apiVersion: v1\nkind: Service\nmetadata: {name: b1}\nspec: {"+spec+"}\n"))
		found, err := judgeOf(t, nil, web).judge(t.Context())(in.Objects[0], validation.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range found {
			got += f.Field + ": " + f.Message
		}
		if got != want {
			t.Errorf("%s: %s, want %s", spec, got, want)
		}
	}
}

func TestLintKnowsWhatOlderServersAccept(t *testing.T) {
	in := lint.Read([]string{lint.Stdin}, strings.NewReader(externalManifest("b1", "198.51.100.010")+"---\n"+externalManifest("1b", "198.51.100.2")))
	for minor, want := range map[string][]string{
		"37": {"spec.externalIPs[0]"}, "36+": {"spec.externalIPs[0]"}, "35": {"metadata.name"}, "33+": {"metadata.name"}, "": {"spec.externalIPs[0]"},
	} {
		judge := judgeOf(t, nil)
		judge.server = optionsOf(version.Info{Major: "1", Minor: minor})
		var fields []string
		for _, object := range in.Objects {
			found, err := judge.judge(t.Context())(object, validation.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Severity == lint.Error {
					fields = append(fields, f.Field)
				}
			}
		}
		if diff := cmp.Diff(want, fields); diff != "" {
			t.Errorf("1.%s (-want +got):\n%s", minor, diff)
		}
	}
}

func TestLintSaysWhyARuleCouldNotBeJudged(t *testing.T) {
	in := lint.Read([]string{lint.Stdin}, strings.NewReader(externalManifest("b1", "198.51.100.1")))
	_, err := judgeOf(t, errors.New("the cluster is tired")).judge(t.Context())(in.Objects[0], validation.Options{})
	if err == nil || !strings.Contains(err.Error(), "the cluster is tired") {
		t.Errorf("got %v, want the reason", err)
	}
}

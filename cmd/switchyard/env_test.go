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
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"switchyard.dev/switchyard/internal/serviceenv"
)

// environmentOf asks a fake cluster with the namespace shop and its Service web,
// of which the Service kubernetes is answered with an error, if there is one.
func environmentOf(t *testing.T, o envOptions, namespace string, kubernetes error) (*environment, error) {
	t.Helper()
	service := func(namespace, name string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.1", Ports: []corev1.ServicePort{{Port: 80}}}}
	}
	get := func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
		if key == serviceenv.Kubernetes && kubernetes != nil {
			return kubernetes
		}
		return c.Get(ctx, key, object, options...)
	}
	reader := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{Get: get}).
		WithObjects(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, service("shop", "web"), service("default", "kubernetes")).Build()
	return o.read(t.Context(), reader, namespace)
}

// Without default/kubernetes there is an answer still, that says what is missing.
func TestEnvWithoutTheAPIServersService(t *testing.T) {
	services := schema.GroupResource{Resource: "services"}
	for want, failure := range map[string]error{
		"you may not read Service default/kubernetes":                                           apierrors.NewForbidden(services, "kubernetes", errors.New("no")),
		"there is no Service default/kubernetes now":                                            apierrors.NewNotFound(services, "kubernetes"),
		"Service default/kubernetes could not be read, so its variables, which every pod has, ": errors.New("it takes too long"),
	} {
		answer, err := environmentOf(t, envOptions{}, "shop", failure)
		if err != nil {
			t.Errorf("%v: %v", failure, err)
			continue
		}
		if len(answer.Variables) != 7 || len(answer.NotRead) != 1 || !strings.HasPrefix(answer.NotRead[0], want) {
			t.Errorf("%d variables, not read %q, want %q", len(answer.Variables), answer.NotRead, want)
		}
	}
	if answer, err := environmentOf(t, envOptions{}, "shop", nil); err != nil || len(answer.NotRead) > 0 || len(answer.Variables) != 14 {
		t.Errorf("with it: %+v, %v", answer, err)
	}
}

// That something does not exist is an answer of an API server that is up.
func TestEnvOfWhatDoesNotExist(t *testing.T) {
	for want, ask := range map[string]func() (*environment, error){
		"there is no namespace nowhere": func() (*environment, error) { return environmentOf(t, envOptions{}, "nowhere", nil) },
		"there is no pod shop/nobody":   func() (*environment, error) { return environmentOf(t, envOptions{pod: "nobody"}, "shop", nil) },
	} {
		_, err := ask()
		if err == nil || readingError(err, "https://192.0.2.1").Error() != want {
			t.Errorf("%v, want %s", readingError(err, "https://192.0.2.1"), want)
		}
	}
}

func TestWhatToDoAboutErrorsOfReading(t *testing.T) {
	const up = "is the API server of https://192.0.2.1 up?"
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"nobody answers":     {errors.New("connection refused"), true},
		"it takes too long":  {context.DeadlineExceeded, true},
		"who asked has left": {context.Canceled, false},
	} {
		if got := readingError(tc.err, "https://192.0.2.1").Error(); strings.Contains(got, up) != tc.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

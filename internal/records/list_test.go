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

package records

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"context"

	"switchyard.dev/switchyard/internal/discovery"
)

var options = discovery.Options{Zone: "cluster.local.", TTL: 5}

func service(spec corev1.ServiceSpec) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: spec}
}

func slice(ports []discoveryv1.EndpointPort, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: ports, Endpoints: endpoints,
	}
}

func TestHintsSayWhatHasNoRecord(t *testing.T) {
	headless := corev1.ServiceSpec{ClusterIP: "None"}
	at := discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}}
	unready := discoveryv1.Endpoint{Addresses: []string{"10.0.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: new(false)}}
	hosted := discoveryv1.Endpoint{Addresses: []string{"10.0.0.3"}, Hostname: new("db-0")}
	http := []discoveryv1.EndpointPort{{Name: new("http"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(80))}}
	unnamed := []discoveryv1.EndpointPort{{Name: new(""), Protocol: new(corev1.ProtocolTCP), Port: new(int32(80))}}
	for name, tc := range map[string]struct {
		spec    corev1.ServiceSpec
		slice   *discoveryv1.EndpointSlice
		records int
		want    []string
	}{
		"all is well":      {corev1.ServiceSpec{ClusterIP: "10.96.0.7", Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}, nil, 3, nil},
		"an unnamed port":  {corev1.ServiceSpec{ClusterIP: "10.96.0.7", Ports: []corev1.ServicePort{{Protocol: "TCP", Port: 80}}}, nil, 2, []string{"port 80/TCP has no name"}},
		"no address yet":   {corev1.ServiceSpec{}, nil, 0, []string{"no ClusterIP yet"}},
		"nobody is ready":  {headless, slice(http, unready), 0, []string{"NXDOMAIN"}},
		"some are ready":   {headless, slice(http, hosted, unready), 4, []string{"1 addresses of endpoints that are not ready"}},
		"no hostnames":     {headless, slice(http, at), 4, []string{"named after their addresses"}},
		"unnamed, too":     {headless, slice(unnamed, hosted), 3, []string{"port 80 of the endpoints has no name"}},
		"no ports":         {headless, slice(nil, hosted), 3, []string{"without ports"}},
		"an external name": {corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}, nil, 1, nil},
		"one that is an address": {corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "192.0.2.1"}, slice(http, at), 0,
			[]string{"is an address", "nothing else"}},
		"one that is too long": {corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: strings.Repeat("x", 64) + ".com"}, nil, 0,
			[]string{"more than 63 characters"}},
	} {
		t.Run(name, func(t *testing.T) {
			var eps []*discoveryv1.EndpointSlice
			if tc.slice != nil {
				eps = append(eps, tc.slice)
			}
			a := List(service(tc.spec), eps, options)
			if len(a.Records) != tc.records || len(a.Hints) != len(tc.want) {
				t.Fatalf("%d records and hints %v, want %d and %v", len(a.Records), a.Hints, tc.records, tc.want)
			}
			for i, want := range tc.want {
				if !strings.Contains(a.Hints[i].Message, want) {
					t.Errorf("hint is %q, want %q", a.Hints[i].Message, want)
				}
			}
		})
	}
}

func TestReadingAService(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "endpointslices"}, "", errors.New("no"))
	at := discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}}
	for name, tc := range map[string]struct {
		err              error
		records, notRead int
	}{
		"with its slices":          {nil, 3, 0},
		"whose slices are hidden":  {forbidden, 0, 1},
		"while the server is away": {errors.New("connection refused"), -1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			reader := fake.NewClientBuilder().WithObjects(service(corev1.ServiceSpec{ClusterIP: "None"}), slice(nil, at)).WithInterceptorFuncs(interceptor.Funcs{
				List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
					if tc.err != nil {
						return tc.err
					}
					return c.List(ctx, list, o...)
				},
			}).Build()
			a, err := Read(t.Context(), reader, types.NamespacedName{Namespace: "shop", Name: "web"}, options)
			if (err != nil) != (tc.records < 0) {
				t.Fatal(err)
			}
			if err == nil && (len(a.Records) != tc.records || len(a.NotRead) != tc.notRead) {
				t.Errorf("answer is %+v", a)
			}
		})
	}
}

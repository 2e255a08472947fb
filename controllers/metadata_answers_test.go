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

package controllers

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// answering is a server that says the same to every update, and what it was asked.
func answering(t *testing.T, code int, answer runtime.Object) (config *rest.Config, asked *http.Request) {
	t.Helper()
	asked = &http.Request{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = *r.Clone(t.Context())
		w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
		w.WriteHeader(code)
		if err := protobuf.NewSerializer(answersScheme, answersScheme).Encode(answer, w); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}, asked
}

// TestAnUpdateIsAnsweredByMetadata: whether the server can leave out the rest or
// not, the writer learns which version it has written.
func TestAnUpdateIsAnsweredByMetadata(t *testing.T) {
	written := metav1.ObjectMeta{
		Namespace: "default", Name: "web-x", UID: "7", Generation: 3, ResourceVersion: "12", Labels: map[string]string{discoveryv1.LabelServiceName: "web"},
	}
	partial := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"}, ObjectMeta: written}
	slice := &discoveryv1.EndpointSlice{TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}, ObjectMeta: written}
	endpoints := &corev1.Endpoints{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Endpoints"}, ObjectMeta: written}
	for name, answer := range map[string][2]runtime.Object{"alone": {partial, partial}, "with the rest": {slice, endpoints}} {
		config, asked := answering(t, http.StatusOK, answer[0])
		slices, err := sliceClient(configFor(config, endpointSliceFieldManager))
		if err != nil {
			t.Fatal(err)
		}
		got, err := slices.EndpointSlices("default").Update(t.Context(), &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "web-x", Namespace: "default"}}, metav1.UpdateOptions{})
		if err != nil || got.ResourceVersion != "12" || got.Generation != 3 || got.UID != "7" || serviceOfSlice(got).Name != "web" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if accept := asked.Header.Get("Accept"); !strings.HasPrefix(accept, "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata") {
			t.Errorf("%s: an EndpointSlice was updated with Accept: %s", name, accept)
		}
		config, asked = answering(t, http.StatusOK, answer[1])
		ours := handMade(80, "10.0.0.1")
		if err := client.WithFieldOwner(endpointsWriter(t, config), "me").Update(t.Context(), ours); err != nil || ours.ResourceVersion != "12" || len(ours.Subsets) != 1 {
			t.Errorf("%s: %v, %v", name, ours, err)
		}
		if accept := asked.Header.Get("Accept"); !strings.HasPrefix(accept, "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata") || asked.URL.RawQuery != "fieldManager=me" {
			t.Errorf("%s: Endpoints were updated by %s with Accept: %s", name, asked.URL, accept)
		}
	}
}

// TestAnErrorOfAnUpdateIsWhatItIs: a conflict has to be told from other errors.
func TestAnErrorOfAnUpdateIsWhatItIs(t *testing.T) {
	refusal := apierrors.NewConflict(discoveryv1.Resource("endpointslices"), "web-x", nil).Status()
	refusal.APIVersion, refusal.Kind = "v1", "Status"
	config, _ := answering(t, http.StatusConflict, &refusal)
	slices, err := sliceClient(configFor(config, endpointSliceFieldManager))
	if err != nil {
		t.Fatal(err)
	}
	_, err = slices.EndpointSlices("default").Update(t.Context(), &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "web-x", Namespace: "default"}}, metav1.UpdateOptions{})
	if !apierrors.IsConflict(err) {
		t.Errorf("of slices: %v", err)
	}
	if err := endpointsWriter(t, config).Update(t.Context(), handMade(80, "10.0.0.1")); !apierrors.IsConflict(err) {
		t.Errorf("of Endpoints: %v", err)
	}
}

func endpointsWriter(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Endpoints"), meta.RESTScopeNamespace)
	writer, err := endpointsClient(config, client.Options{Scheme: clientgoscheme.Scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	return writer
}

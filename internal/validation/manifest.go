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

package validation

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// generatedSuffix stands for what the server appends to a generateName.
const generatedSuffix = "xxxxx"

// Manifest is what a server would say to the creation of a Service as a user
// wrote it, with all that a client and the server fill in left out. It returns
// the Service with its defaults, which Warnings and Holes are to be asked of.
func Manifest(svc *corev1.Service, opts Options) (*corev1.Service, field.ErrorList) {
	svc = svc.DeepCopy()
	Default(svc)
	prepareMetadata(&svc.ObjectMeta)
	svc.Status = corev1.ServiceStatus{} // Dropped on create: it has its own way in.
	if svc.Spec.ClusterIP != "" && len(svc.Spec.ClusterIPs) == 0 {
		svc.Spec.ClusterIPs = []string{svc.Spec.ClusterIP}
	}
	// The server's allocator comes first, and what it objects to is all that is said.
	if errs := ValidateIPFamilies(nil, svc, opts); len(errs) > 0 {
		return svc, errs
	}
	opts.Unallocated = true
	return svc, ValidateService(svc, opts)
}

// ManifestEndpoints is Manifest for an Endpoints object.
func ManifestEndpoints(endpoints *corev1.Endpoints, opts Options) (*corev1.Endpoints, field.ErrorList) {
	endpoints = endpoints.DeepCopy()
	DefaultEndpoints(endpoints)
	prepareMetadata(&endpoints.ObjectMeta)
	return endpoints, ValidateEndpoints(endpoints, opts)
}

// ManifestEndpointSlice is Manifest for an EndpointSlice.
func ManifestEndpointSlice(slice *discoveryv1.EndpointSlice, opts Options) (*discoveryv1.EndpointSlice, field.ErrorList) {
	slice = slice.DeepCopy()
	DefaultEndpointSlice(slice)
	prepareMetadata(&slice.ObjectMeta)
	slice.Generation = 1
	for i := range slice.Endpoints {
		slice.Endpoints[i].DeprecatedTopology = nil // Dropped, as documented.
	}
	return slice, ValidateEndpointSlice(slice, opts)
}

// prepareMetadata fills in what kubectl and the server do.
func prepareMetadata(meta *metav1.ObjectMeta) {
	setDefault(&meta.Namespace, metav1.NamespaceDefault)
	if meta.Name == "" && meta.GenerateName != "" {
		meta.Name = meta.GenerateName + generatedSuffix
	}
}

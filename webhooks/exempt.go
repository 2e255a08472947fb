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
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/api/v1alpha1"
)

// kubernetesService is the API server's own Service.
var kubernetesService = types.NamespacedName{Namespace: "default", Name: "kubernetes"}

// Exemptions says what is never judged. The webhook configurations leave the
// same out by matchConditions and namespaceSelector, so that the API server
// does not even call us for it; the code repeats it because a configuration
// may be edited, and because only the code knows which namespace is ours.
type Exemptions struct {
	// Namespace is the one Switchyard itself runs in.
	Namespace string
	// EndpointWriters are users whose endpoints are trusted, beside those of
	// Kubernetes itself: a kube-controller-manager by another name, or a controller
	// that connects clusters.
	EndpointWriters []string
}

// apiServer is who the API server is when it writes to itself.
const apiServer = "system:apiserver"

// Write tells whether one who writes an object is not judged. The API server's own
// objects are exempt only from its own writes: others may write to them as well.
func (e Exemptions) Write(user string, object client.Object) bool {
	if client.ObjectKeyFromObject(object) == kubernetesService {
		return user == apiServer
	}
	return e.Object(object)
}

// Object tells whether an object is needed to boot the cluster, or is ours.
func (e Exemptions) Object(object client.Object) bool {
	switch {
	case e.Namespace != "" && object.GetNamespace() == e.Namespace:
		return true
	case client.ObjectKeyFromObject(object) == kubernetesService:
		return true
	case object.GetNamespace() == "kube-system":
		// The cluster DNS Service has this label in every distribution that
		// follows the add-on manifests, whatever its name.
		return object.GetName() == "kube-dns" || object.GetLabels()["k8s-app"] == "kube-dns"
	}
	return false
}

// onlyLetsGo tells whether an update leaves an object that is being deleted as it
// was, but for metadata that no rule reads: whoever removes a finalizer is never in
// the way of a rule. That an object is being deleted is no exemption by itself. A user
// may keep it so for as long as a finalizer, and proxies serve it all the while.
func onlyLetsGo(before, after client.Object) bool {
	return after.GetDeletionTimestamp() != nil && equality.Semantic.DeepEqual(contentsOf(before), contentsOf(after))
}

// contentsOf is what rules judge of an object, as the match conditions have it.
func contentsOf(object client.Object) []any {
	switch o := object.(type) {
	case *corev1.Service:
		return []any{o.Spec, o.Status, o.Annotations} // These ask for addresses, too.
	case *corev1.Endpoints:
		return []any{o.Subsets}
	case *discoveryv1.EndpointSlice:
		return []any{o.Endpoints, o.Ports, o.Labels}
	case *v1alpha1.AddressPool:
		return []any{o.Spec}
	case *v1alpha1.PortPool:
		return []any{o.Spec}
	case *networkingv1.ServiceCIDR:
		return []any{o.Spec}
	}
	return []any{object}
}

// endpointWriters are Kubernetes' own writers of endpoints. They copy what pods
// report, and what the mirroring controller copies has been judged when a user
// wrote it.
var endpointWriters = map[string]bool{
	apiServer:                        true,
	"system:kube-controller-manager": true,
	"system:serviceaccount:kube-system:endpoint-controller":               true,
	"system:serviceaccount:kube-system:endpointslice-controller":          true,
	"system:serviceaccount:kube-system:endpointslicemirroring-controller": true,
}

// EndpointWriter tells whether endpoints come from a controller instead of a
// user. It goes by who writes and never by a managed-by label, because anyone
// may set that.
func (e Exemptions) EndpointWriter(request admission.Request) bool {
	user := request.UserInfo.Username
	return endpointWriters[user] || slices.Contains(e.EndpointWriters, user) || strings.HasPrefix(user, "system:serviceaccount:"+e.Namespace+":")
}

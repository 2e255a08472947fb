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

package diagnosis

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func endpointsObject(ip string) *corev1.Endpoints {
	return &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: ip}}}}}
}

func TestSlicesThatFollowPods(t *testing.T) {
	foreign := func(by string) func(*Facts) {
		return func(f *Facts) { f.Slices = append(f.Slices, byHand(by, "192.0.2.5", "http", 8080)) }
	}
	examined(t, map[string]outcome{
		"nobody writes them": {state: Problem, check: CheckSlices, want: SlicesMissing, says: []string{"3 pods are ready (web-1, web-2 and web-3), but there is no EndpointSlice: no controller writes them", "kube-controller-manager"},
			after: func(f *Facts) { f.Slices = nil }},
		"they are empty": {state: Problem, check: CheckSlices, want: SlicesStale, says: []string{"do not name them as such"}, after: func(f *Facts) { f.Slices[0].Endpoints = nil }},
		"they say that none is ready": {state: Problem, check: CheckSlices, want: SlicesStale, after: func(f *Facts) {
			for i := range f.Slices[0].Endpoints {
				f.Slices[0].Endpoints[i].Conditions.Ready, f.Slices[0].Endpoints[i].Conditions.Serving = new(false), new(false)
			}
		}},
		"they lack a pod":                                   {state: Warning, check: CheckSlices, want: SlicesStale, says: []string{"do not name 1 of 3 ready pods (web-1)"}, after: func(f *Facts) { f.Slices[0].Endpoints = f.Slices[0].Endpoints[1:] }},
		"they name a pod that is gone":                      {state: Warning, check: CheckSlices, want: SlicesStale, says: []string{"1 endpoint that is none of its pods (web-3)"}, after: func(f *Facts) { f.Selected = f.Selected[:2] }},
		"they lead to another port":                         {state: Problem, check: CheckSlices, want: SlicesStale, says: []string{"lead to another target port than port http (80) has"}, after: func(f *Facts) { f.Service.Spec.Ports[0].TargetPort = intstr.FromInt32(9090) }},
		"they lead to another port, and DNS names no ports": {state: Warning, check: CheckSlices, want: SlicesStale, change: headlessService, after: func(f *Facts) { f.Service.Spec.Ports[0].TargetPort = intstr.FromInt32(9090) }},
		"they are being deleted":                            {state: Problem, check: CheckSlices, want: SlicesStale, after: func(f *Facts) { f.Slices[0].DeletionTimestamp = new(ago(0)) }},
		"a pod of two families is one endpoint":             {state: OK, check: CheckSlices, message: "3 ready endpoints in 2 EndpointSlices", change: func(f *Facts) { f.dualStack() }},
		"they lack one of two families":                     {state: Warning, check: CheckSlices, want: SlicesStale, change: func(f *Facts) { f.dualStack() }, after: func(f *Facts) { f.Slices = f.Slices[:1] }},
		"one is nobody's":                                   {state: Warning, check: CheckSlices, want: ForeignSlices, says: []string{"EndpointSlice web-by-hand adds endpoints"}, after: foreign("")},
		"one was mirrored before":                           {state: Warning, check: CheckSlices, want: LeftoverSlices, says: []string{"web-by-hand is left", "delete it"}, after: foreign(mirrorController)},
		"one is another controller's":                       {state: OK, check: CheckSlices, details: []string{"managed by mesh.example.org"}, after: foreign("mesh.example.org")},
		"the Endpoints object is cut": {state: Warning, check: CheckSlices, want: Truncated, says: []string{"is cut, and names 1 endpoint"}, after: func(f *Facts) {
			f.Endpoints = endpointsObject("10.1.0.1")
			f.Endpoints.Annotations = map[string]string{corev1.EndpointsOverCapacity: "truncated"}
		}},
		"pods became ready just now": {state: OK, check: CheckSlices, details: []string{"1 pod changed just now"}, after: func(f *Facts) {
			podCondition(f.Selected[0], corev1.PodReady).LastTransitionTime = ago(2 * time.Second)
			f.Slices[0].Endpoints = f.Slices[0].Endpoints[1:]
		}},
		"all pods became ready just now": {state: Unknown, check: CheckSlices, want: ChangedJustNow, says: []string{"no EndpointSlice names them yet: ask again in a minute"}, after: func(f *Facts) {
			f.eachPod(func(pod *corev1.Pod) { podCondition(pod, corev1.PodReady).LastTransitionTime = ago(2 * time.Second) })
			f.Slices = nil
		}},
		"the Service is new": {state: Unknown, check: CheckSlices, want: ChangedJustNow, after: func(f *Facts) {
			f.Service.CreationTimestamp, f.Slices = ago(time.Second), nil
		}},
		"the Service has another target port just now": {state: OK, after: func(f *Facts) {
			f.Service.Spec.Ports[0].TargetPort = intstr.FromInt32(9090)
			f.Service.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl", Time: new(ago(time.Second))}}
		}},
		"only the status has changed just now": {state: Problem, check: CheckSlices, want: SlicesStale, after: func(f *Facts) {
			f.Service.Spec.Ports[0].TargetPort = intstr.FromInt32(9090)
			f.Service.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "diagnosis", Subresource: "status", Time: new(ago(time.Second))}}
		}},
		"they could not be seen": {state: Unknown, check: CheckSlices, want: NotSeen, says: []string{"EndpointSlices could not be read: forbidden."}, after: func(f *Facts) {
			f.Slices, f.Unseen = nil, map[Kind]string{EndpointSlices: "forbidden"}
		}},
		"neither pods nor a ready endpoint are seen": {state: Problem, check: CheckSlices, want: EndpointsNotReady, after: func(f *Facts) {
			f.Selected, f.Unseen = nil, map[Kind]string{Pods: "forbidden"}
			f.Slices = []*discoveryv1.EndpointSlice{slice("web-0", sliceController, "IPv4", nil)}
		}},
		"an odd spelling of an address": {state: OK, after: func(f *Facts) { f.Slices[0].Endpoints[0].Addresses[0] = "::ffff:10.1.0.1" }},
		"an empty slice beside":         {state: OK, after: func(f *Facts) { f.Slices = append(f.Slices, slice("web-9", "", "IPv4", nil)) }},
		"a headless Service without ports": {state: OK, change: func(f *Facts) {
			f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs, f.Service.Spec.Ports = "None", []string{"None"}, nil
		}},
	})
}

func TestSlicesByHand(t *testing.T) {
	hand := func(by, portName string) func(*Facts) {
		return func(f *Facts) {
			f.noSelectorNorPods()
			f.Slices = append(f.Slices, byHand(by, "192.0.2.5", portName, 8080))
		}
	}
	mirrored := func(change func(*corev1.Endpoints)) func(*Facts) {
		return func(f *Facts) {
			f.noSelectorNorPods()
			f.Endpoints = endpointsObject("192.0.2.5")
			change(f.Endpoints)
		}
	}
	examined(t, map[string]outcome{
		"by nobody":         {state: OK, change: hand("", "http")},
		"by the mirroring":  {state: OK, change: hand(mirrorController, "http")},
		"by somebody else":  {state: OK, change: hand("mesh.example.org", "http")},
		"another port name": {state: Problem, check: CheckSlices, want: SlicePortMismatch, says: []string{"name and protocol of port http (80): they have web (8080)", "the names that they have in the Service"}, change: hand("", "web")},
		"no port name":      {state: Problem, check: CheckSlices, want: SlicePortMismatch, says: []string{"they have 8080;"}, change: hand("", "")},
		"one of two ports": {state: Warning, check: CheckSlices, want: SlicePortMismatch, says: []string{"port admin (81)"}, change: func(f *Facts) {
			hand("", "http")(f)
			more(corev1.ServicePort{Name: "admin", Port: 81})(f)
		}},
		"one of two, not used": {state: Warning, check: CheckSlices, want: SlicePortMismatch, says: []string{"EndpointSlice web-other has no port of the name and protocol of the Service's, and what it names is not used: it has web (8080); give"}, change: func(f *Facts) {
			hand("", "http")(f)
			f.Slices = append(f.Slices, byHand("", "192.0.2.6", "web", 8080))
			f.Slices[1].Name = "web-other"
		}},
		"one that nodes leave out": {state: Problem, check: CheckSlices, want: SlicesLeftOut, says: []string{"EndpointSlice web-by-hand has the label service.kubernetes.io/headless, by which nodes leave it out; remove the label from it."}, change: func(f *Facts) {
			hand("", "http")(f)
			f.Slices[0].Labels[corev1.IsHeadlessService] = ""
		}},
		"one of two that nodes leave out": {state: Warning, check: CheckSlices, want: SlicesLeftOut, says: []string{"EndpointSlice web-other has the label service.kubernetes.io/service-proxy-name"}, change: func(f *Facts) {
			hand("", "http")(f)
			f.Slices = append(f.Slices, byHand("", "192.0.2.6", "http", 8080))
			f.Slices[1].Name, f.Slices[1].Labels[proxyLabel] = "web-other", "mesh"
		}},
		"one of a headless Service": {state: OK, change: func(f *Facts) {
			hand("", "http")(f)
			f.Slices[0].Labels[corev1.IsHeadlessService] = ""
			f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
		}},
		"a port in each of two": {state: OK, change: func(f *Facts) {
			hand("", "http")(f)
			more(corev1.ServicePort{Name: "admin", Port: 81})(f)
			f.Slices = append(f.Slices, byHand("", "192.0.2.6", "admin", 8081))
		}},
		"two left from a selector": {state: Warning, check: CheckSlices, want: LeftoverSlices, says: []string{"EndpointSlices web-by-hand and web-other are left from"}, change: func(f *Facts) {
			hand(sliceController, "http")(f)
			f.Slices = append(f.Slices, byHand(sliceController, "192.0.2.6", "http", 8080))
			f.Slices[1].Name = "web-other"
		}},
		"none of two is ready": {state: Problem, check: CheckSlices, want: EndpointsNotReady, says: []string{"2 endpoints, none of them ready (192.0.2.5 and 192.0.2.6)"}, change: func(f *Facts) {
			hand("", "http")(f)
			f.Slices[0].Endpoints = append(f.Slices[0].Endpoints, discoveryv1.Endpoint{Addresses: []string{"192.0.2.6"}})
			for i := range f.Slices[0].Endpoints {
				f.Slices[0].Endpoints[i].Conditions = discoveryv1.EndpointConditions{Ready: new(false), Serving: new(false)}
			}
		}},
		"left from a selector": {state: Warning, check: CheckSlices, want: LeftoverSlices, says: []string{"web-by-hand is left from when the Service had a selector"}, change: hand(sliceController, "http")},
		"none is ready": {state: Problem, check: CheckSlices, want: EndpointsNotReady, says: []string{"1 endpoint, which is not ready (192.0.2.5)"}, change: func(f *Facts) {
			hand("", "http")(f)
			f.Slices[0].Endpoints[0].Conditions = discoveryv1.EndpointConditions{Ready: new(false), Serving: new(false)}
		}},
		"names where addresses of a family are wanted": {state: Problem, check: CheckSlices, want: FamilyMismatch, says: []string{"hold names (addressType FQDN)"}, change: func(f *Facts) {
			hand("", "http")(f)
			f.Slices[0].AddressType, f.Slices[0].Endpoints[0].Addresses = discoveryv1.AddressTypeFQDN, []string{"db.example.org"}
		}},
		"names": {state: Problem, check: CheckSlices, want: FamilyMismatch, says: []string{"addressType FQDN"}, change: func(f *Facts) {
			hand("", "http")(f)
			f.Service.Spec.IPFamilies, f.Slices[0].AddressType, f.Slices[0].Endpoints[0].Addresses = nil, discoveryv1.AddressTypeFQDN, []string{"db.example.org"}
			f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "", []string{"none-to-read"}
		}},
		"Endpoints that nobody mirrors":  {state: Problem, check: CheckSlices, want: EndpointsNotMirrored, says: []string{"mirroring controller"}, change: mirrored(func(*corev1.Endpoints) {})},
		"Endpoints that are not to be":   {state: Problem, check: CheckSlices, want: EndpointsNotMirrored, says: []string{"label endpointslice.kubernetes.io/skip-mirror=true", "remove that label"}, change: mirrored(func(e *corev1.Endpoints) { e.Labels = map[string]string{discoveryv1.LabelSkipMirror: "true"} })},
		"Endpoints that are an old lock": {state: Problem, check: CheckSlices, want: EndpointsNotMirrored, says: []string{"lock of a leader election"}, change: mirrored(func(e *corev1.Endpoints) { e.Annotations = map[string]string{leaderAnnotation: "{}"} })},
		"Endpoints while slices are hidden": {state: Unknown, check: CheckSlices, want: NotSeen, change: func(f *Facts) {
			mirrored(func(*corev1.Endpoints) {})(f)
			f.Unseen = map[Kind]string{EndpointSlices: "forbidden"}
		}},
	})
}

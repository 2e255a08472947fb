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

package endstate

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What kube-controller-manager leaves behind and we do not: docs/endpoints.md,
// "Where it differs from upstream, and why".
const (
	selectorWent     = "endpoints of pods whose Service selects none any more (row E4)"
	serviceWent      = "slices of a Service that is gone (row E19)"
	emptyOfAnEarlier = "an empty slice of an earlier Service of the same name (row E22)"
	mirrorSticks     = "a mirror of both families whose ports have changed (row E36)"
	headlessStays    = "the label of a headless Service on endpoints of one that has got a ClusterIP (rows E16, E18)"
	// lockStays is what we leave behind.
	lockStays = "a leader's lock in Endpoints whose Service is gone (row E32)"
)

// common are those of theirs that a few clusters are enough to meet.
var common = []string{selectorWent, serviceWent}

// certain is met in a history that is not generated, as is lockStays.
const certain = mirrorSticks

// lostLock is the history of a leader's lock beside a Service that goes. Controllers
// are at work by then, as what they find at their start is another matter.
func lostLock() *history {
	h := emptyHistory(0, 0)
	h.name = "the lock whose Service goes"
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	h.do(step{verb: create, object: service})
	other := named(service.DeepCopy(), "db")
	other.Spec.Selector = map[string]string{"app": "db"}
	h.do(step{verb: create, object: other})
	h.do(step{verb: await, object: named(&corev1.Endpoints{}, "db")})
	h.do(step{verb: put, object: &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{leader: "{}"}}}})
	h.do(step{verb: remove, object: named(&corev1.Service{}, "web")})
	return h
}

func selectsPods(service *corev1.Service) bool {
	return service.Spec.Type != corev1.ServiceTypeExternalName && len(service.Spec.Selector) > 0
}

// leftOver are Endpoints of pods whose Service is there and selects none.
func (r *reader) leftOver(object *corev1.Endpoints) bool {
	service := r.services[object.Name]
	return service != nil && !selectsPods(service) && object.Labels["endpoints.kubernetes.io/managed-by"] == "endpoint-controller"
}

// leftOverSlice is the documented reason why a slice is still there, if any.
func (r *reader) leftOverSlice(slice *discoveryv1.EndpointSlice) string {
	name := slice.Labels[discoveryv1.LabelServiceName]
	service, source := r.services[name], r.endpoints[name]
	switch slice.Labels[discoveryv1.LabelManagedBy] {
	case mirroringController:
		if source != nil && r.leftOver(source) {
			return selectorWent
		}
	case sliceController:
		switch {
		case service == nil:
			return serviceWent
		case !selectsPods(service):
			return selectorWent
		}
	}
	return ""
}

// ofAnEarlierService is an empty slice of a Service that was deleted. Upstream takes
// it for that of its namesake, whatever its labels.
func (r *reader) ofAnEarlierService(slice *discoveryv1.EndpointSlice) bool {
	return slice.Labels[discoveryv1.LabelManagedBy] == sliceController && len(slice.Endpoints) == 0 &&
		len(slice.OwnerReferences) == 1 && !r.live[slice.OwnerReferences[0].UID]
}

// comparable are the lines of a state but for what theirs are not compared in: the
// labels and owners of groups with a slice of an earlier Service, and mirrors that
// stick.
func (s state) comparable(theirs state) map[string]bool {
	lines := maps.Clone(s.lines)
	for group := range theirs.earlier {
		maps.DeleteFunc(lines, func(line string, _ bool) bool { return strings.HasPrefix(line, group+": labels ") })
	}
	for name := range theirs.stuck {
		maps.DeleteFunc(lines, func(line string, _ bool) bool { return strings.HasPrefix(line, mirrorsOf(name)) })
	}
	return lines
}

// withoutStaleHeadless are the labels of an object of a Service with a selector. The
// label's value is empty, which upstream does not tell from no label.
func (r *reader) withoutStaleHeadless(name, object string, labels map[string]string) map[string]string {
	service := r.services[name]
	value, labelled := labels[corev1.IsHeadlessService]
	if service == nil || !selectsPods(service) || service.Spec.ClusterIP == corev1.ClusterIPNone || !labelled || value != "" {
		return labels
	}
	r.documented[headlessStays]++
	r.rewritten[object] = true
	return without(labels, corev1.IsHeadlessService)
}

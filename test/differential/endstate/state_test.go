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
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	sliceController     = "endpointslice-controller.k8s.io"
	mirroringController = "endpointslicemirroring-controller.k8s.io"
	leader              = "control-plane.alpha.kubernetes.io/leader"

	// forNobody begins lines of Endpoints without a Service, which go when controllers
	// start, but for locks of leaders.
	forNobody = "Endpoints without a Service "
)

// state is what there is in a namespace, line by line and in no order, without
// what differs between two namespaces of the same history.
type state struct {
	lines map[string]bool
	// documented counts what is there for a reason that is documented as one of our
	// differences, by that reason.
	documented map[string]int
	// earlier are groups of slices that have an empty one of an earlier Service.
	earlier map[string]bool
	// stuck are the names of Endpoints whose mirror may never be written.
	stuck map[string]bool
	// slices, endpoints, mirrors and objects count what the lines are of.
	slices, endpoints, mirrors, objects int
	// versions are those of slices and Endpoints, by kind and name.
	versions map[string]string
	// filled are the groups and families of slices that have an endpoint, empty the
	// families of the groups of empty ones.
	filled map[string]bool
	empty  map[string]string
	// rewritten are the slices and Endpoints that may be written at a start: those in
	// topology mode, as the library has it, and those that are mended.
	rewritten map[string]bool
}

// reader renders the state of one namespace.
type reader struct {
	state
	services  map[string]*corev1.Service
	endpoints map[string]*corev1.Endpoints
	// live are the UIDs that are still somebody's.
	live map[types.UID]bool
}

func (v *view) state(t *testing.T, namespace string) state {
	t.Helper()
	r := reader{
		state: state{
			lines: map[string]bool{}, documented: map[string]int{}, earlier: map[string]bool{}, versions: map[string]string{}, rewritten: map[string]bool{},
			filled: map[string]bool{}, empty: map[string]string{}, stuck: map[string]bool{},
		},
		services: map[string]*corev1.Service{}, endpoints: map[string]*corev1.Endpoints{}, live: map[types.UID]bool{"0": true},
	}
	var services corev1.ServiceList
	for _, service := range list(t, v, namespace, &services, func() []corev1.Service { return services.Items }) {
		r.services[service.Name] = &service
		r.live[service.UID] = true
	}
	var pods corev1.PodList
	for _, pod := range list(t, v, namespace, &pods, func() []corev1.Pod { return pods.Items }) {
		r.live[pod.UID] = true
	}
	var endpoints corev1.EndpointsList
	for _, object := range list(t, v, namespace, &endpoints, func() []corev1.Endpoints { return endpoints.Items }) {
		r.endpoints[object.Name] = &object
		r.live[object.UID] = true
	}
	for _, object := range r.endpoints {
		r.versions["Endpoints "+object.Name] = object.ResourceVersion
		r.addEndpoints(object)
	}
	var all discoveryv1.EndpointSliceList
	for _, slice := range list(t, v, namespace, &all, func() []discoveryv1.EndpointSlice { return all.Items }) {
		r.versions["slice "+slice.Name] = slice.ResourceVersion
		r.addSlice(&slice)
	}
	r.leaveOutSpare()
	r.leaveOutStuck(all.Items)
	return r.state
}

// leaveOutSpare leaves out empty slices beside others of their family. They are
// kept, and not made, for pods that have no address of the family: whether there
// is one says when the pods were first seen together.
func (r *reader) leaveOutSpare() {
	for group, family := range r.empty {
		if r.filled[family] && !r.filled[group] {
			maps.DeleteFunc(r.lines, func(line string, _ bool) bool { return strings.HasPrefix(line, group+": ") })
		}
	}
}

func (r *reader) add(format string, arguments ...any) {
	r.lines[fmt.Sprintf(format, arguments...)] = true
}

func (r *reader) addEndpoints(object *corev1.Endpoints) {
	if r.leftOver(object) {
		r.documented[selectorWent]++
		return
	}
	r.objects++
	name := "Endpoints " + object.Name
	_, lock := object.Annotations[leader]
	switch {
	case r.services[object.Name] == nil && lock && object.Name != lone:
		r.documented[lockStays]++
		return
	case r.services[object.Name] == nil && !lock:
		name = forNobody + object.Name
	}
	labels := r.withoutStaleHeadless(object.Name, "Endpoints "+object.Name, object.Labels)
	annotations := without(object.Annotations, corev1.EndpointsLastChangeTriggerTime)
	if service := r.services[object.Name]; service != nil && selectsPods(service) {
		// The others are of its past: theirs has been through what we delete.
		annotations = map[string]string{corev1.EndpointsOverCapacity: annotations[corev1.EndpointsOverCapacity]}
	}
	r.add("%s: labels %v annotations %v", name, labels, annotations)
	for i := range object.Subsets {
		subset := &object.Subsets[i]
		ports := r.portsOf(subset.Ports)
		for _, address := range subset.Addresses {
			r.add("%s: [%s] ready %s", name, ports, r.addressOf(&address))
		}
		for _, address := range subset.NotReadyAddresses {
			r.add("%s: [%s] not ready %s", name, ports, r.addressOf(&address))
		}
	}
}

func (r *reader) portsOf(ports []corev1.EndpointPort) string {
	var texts []string
	for _, port := range ports {
		texts = append(texts, fmt.Sprintf("%s:%d/%s %s", port.Name, port.Port, port.Protocol, value(port.AppProtocol)))
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

func (r *reader) addressOf(address *corev1.EndpointAddress) string {
	return fmt.Sprintf("%s hostname %q node %s of %s", address.IP, address.Hostname, value(address.NodeName), r.targetOf(address.TargetRef))
}

// targetOf tells references that are up to date from those to an earlier object
// of the same name.
func (r *reader) targetOf(target *corev1.ObjectReference) string {
	if target == nil {
		return "nobody"
	}
	return fmt.Sprintf("%s %s %s", target.Kind, target.Name, r.lives(target.UID))
}

func (r *reader) lives(uid types.UID) string {
	if r.live[uid] {
		return "there"
	}
	return "gone"
}

func (r *reader) addSlice(slice *discoveryv1.EndpointSlice) {
	service, managedBy := slice.Labels[discoveryv1.LabelServiceName], slice.Labels[discoveryv1.LabelManagedBy]
	if reason := r.leftOverSlice(slice); reason != "" {
		r.documented[reason]++
		return
	}
	r.slices++
	if r.services[service] != nil && topologyMode(r.services[service]) {
		r.rewritten["slice "+slice.Name] = true
	}
	earlier := r.ofAnEarlierService(slice)
	if managedBy == mirroringController {
		r.mirrors++
	}
	group := fmt.Sprintf("slices of %s by %s: %s [%s]", service, managedBy, slice.AddressType, portsOfSlice(slice))
	labels := r.withoutStaleHeadless(service, "slice "+slice.Name, slice.Labels)
	if earlier {
		r.documented[emptyOfAnEarlier]++
		r.earlier[group] = true
	}
	r.add("%s: labels %v annotations %v owners %s", group, labels, without(slice.Annotations, corev1.EndpointsLastChangeTriggerTime), r.ownersOf(slice))
	if !strings.HasPrefix(slice.Name, service+"-") && managedBy != "me.example.com" {
		r.add("%s: the name of %s", group, slice.Name)
	}
	family := fmt.Sprintf("%s by %s: %s", service, managedBy, slice.AddressType)
	if len(slice.Endpoints) == 0 {
		r.add("%s: an empty one", group)
		r.empty[group] = family
	} else {
		r.filled[group], r.filled[family] = true, true
	}
	if len(slice.Endpoints) > maxPerSlice {
		r.add("%s: one of %d", group, len(slice.Endpoints))
	}
	for i := range slice.Endpoints {
		r.endpoint(group, slice, &slice.Endpoints[i])
	}
}

func portsOfSlice(slice *discoveryv1.EndpointSlice) string {
	var texts []string
	for _, port := range slice.Ports {
		texts = append(texts, fmt.Sprintf("%s:%s/%s %s", value(port.Name), value(port.Port), value(port.Protocol), value(port.AppProtocol)))
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

func (r *reader) endpoint(group string, slice *discoveryv1.EndpointSlice, e *discoveryv1.Endpoint) {
	r.state.endpoints++
	line := fmt.Sprintf("%s: %v hostname %s node %s zone %s of %s ready %s serving %s terminating %s hints %s", group, e.Addresses,
		value(e.Hostname), value(e.NodeName), value(e.Zone), r.targetOf(e.TargetRef),
		value(e.Conditions.Ready), value(e.Conditions.Serving), value(e.Conditions.Terminating), r.hintsOf(slice, e))
	for r.lines[line] {
		line += ", again"
	}
	r.lines[line] = true
}

// hintsOf a Service in topology mode are shared out by what there was before:
// whether there are any is all that can be compared.
func (r *reader) hintsOf(slice *discoveryv1.EndpointSlice, e *discoveryv1.Endpoint) string {
	if e.Hints == nil {
		return "none"
	}
	if service := r.services[slice.Labels[discoveryv1.LabelServiceName]]; service != nil && topologyMode(service) {
		return "some"
	}
	return fmt.Sprint(e.Hints.ForZones, e.Hints.ForNodes)
}

func topologyMode(service *corev1.Service) bool {
	return service.Annotations[corev1.AnnotationTopologyMode] != "" || service.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints] != ""
}

func (r *reader) ownersOf(object metav1.Object) string {
	text := ""
	for _, owner := range object.GetOwnerReferences() {
		text += fmt.Sprintf("%s %s %s controller %s blocking %s ", owner.Kind, owner.Name, r.lives(owner.UID), value(owner.Controller), value(owner.BlockOwnerDeletion))
	}
	return text
}

func value[T any](pointer *T) string {
	if pointer == nil {
		return "-"
	}
	return fmt.Sprint(*pointer)
}

func without(from map[string]string, key string) map[string]string {
	to := map[string]string{}
	for k, v := range from {
		if k != key {
			to[k] = v
		}
	}
	return to
}

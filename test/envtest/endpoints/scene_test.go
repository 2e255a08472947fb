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

package endpoints

import (
	"cmp"
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/controllers"
)

// scene is a namespace and what a spec does in it.
type scene struct {
	context.Context
	namespace string
}

func newScene(ctx context.Context) scene {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spec-"}}
	Expect(api.Create(ctx, namespace)).To(Succeed())
	return scene{ctx, namespace.Name}
}

// service creates a Service that selects app=name and offers port 80, unless
// the changes say otherwise.
func (s scene) service(name string, changes ...func(*corev1.ServiceSpec)) *corev1.Service {
	GinkgoHelper()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: map[string]string{"team": "blue"}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": name},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	for _, change := range changes {
		change(&service.Spec)
	}
	Expect(api.Create(s, service)).To(Succeed())
	return service
}

func (s scene) updateService(name string, change func(*corev1.Service)) {
	GinkgoHelper()
	update(s, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}, change)
}

// update retries until nobody else has written in between.
func update[T client.Object](ctx context.Context, object T, change func(T)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := api.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change(object)
		return api.Update(ctx, object)
	}).Should(Succeed())
}

// pod creates a ready pod on node-a with one address per family, unless the
// changes say otherwise.
func (s scene) pod(name, app string, lastByte string, changes ...func(*corev1.Pod)) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{NodeName: "node-a", Containers: []corev1.Container{{Name: "main", Image: "none"}}},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			PodIP:      "10.1.0." + lastByte,
			PodIPs:     []corev1.PodIP{{IP: "10.1.0." + lastByte}, {IP: "fd00:1::" + lastByte}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}},
		},
	}
	for _, change := range changes {
		change(pod)
	}
	status := pod.Status
	Expect(api.Create(s, pod)).To(Succeed())
	pod.Status = status
	Expect(api.Status().Update(s, pod)).To(Succeed())
	return pod
}

func notReady(pod *corev1.Pod) { pod.Status.Conditions[0].Status = corev1.ConditionFalse }

func onNode(node string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Spec.NodeName = node }
}

func withPort(name string, number int32) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: name, ContainerPort: number, Protocol: corev1.ProtocolTCP}}
	}
}

func (s scene) setReady(name string, ready corev1.ConditionStatus) {
	GinkgoHelper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	Expect(api.Get(s, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
	pod.Status.Conditions[0].Status = ready
	pod.Status.Conditions[0].LastTransitionTime = metav1.Now()
	Expect(api.Status().Update(s, pod)).To(Succeed())
}

func namedTarget(name string) func(*corev1.ServiceSpec) {
	return func(spec *corev1.ServiceSpec) { spec.Ports[0].TargetPort = intstr.FromString(name) }
}

func headless(spec *corev1.ServiceSpec)   { spec.ClusterIP = corev1.ClusterIPNone }
func noSelector(spec *corev1.ServiceSpec) { spec.Selector = nil }
func dualStack(spec *corev1.ServiceSpec) {
	spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyRequireDualStack)
}

// slices lists a Service's slices, those of one controller if named, by name.
func (s scene) slices(service string, managedBy ...string) []discoveryv1.EndpointSlice {
	GinkgoHelper()
	labels := client.MatchingLabels{discoveryv1.LabelServiceName: service}
	for _, name := range managedBy {
		labels[discoveryv1.LabelManagedBy] = name
	}
	var list discoveryv1.EndpointSliceList
	Expect(api.List(s, &list, client.InNamespace(s.namespace), labels)).To(Succeed())
	return list.Items
}

// endpoint is what specs compare: one line per endpoint of a slice.
type endpoint struct {
	Address string
	Port    int32
	State   string
}

// endpoints flattens a Service's slices, sorted; a slice without ports has port 0.
func (s scene) endpoints(service string) func() []endpoint {
	return func() []endpoint {
		flat := []endpoint{}
		for _, slice := range s.slices(service) {
			for _, e := range slice.Endpoints {
				for _, port := range portNumbers(slice) {
					flat = append(flat, endpoint{e.Addresses[0], port, stateOf(e.Conditions)})
				}
			}
		}
		slices.SortFunc(flat, func(a, b endpoint) int {
			return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
		})
		return flat
	}
}

func portNumbers(slice discoveryv1.EndpointSlice) []int32 {
	if len(slice.Ports) == 0 {
		return []int32{0}
	}
	var numbers []int32
	for _, port := range slice.Ports {
		numbers = append(numbers, *port.Port)
	}
	return numbers
}

// stateOf spells the conditions: "ready", "serving", "terminating", joined by a plus.
func stateOf(conditions discoveryv1.EndpointConditions) string {
	state := ""
	for _, condition := range []struct {
		name string
		set  *bool
	}{{"ready", conditions.Ready}, {"serving", conditions.Serving}, {"terminating", conditions.Terminating}} {
		if ptr.Deref(condition.set, false) {
			state += "+" + condition.name
		}
	}
	return state
}

const (
	up   = "+ready+serving"
	down = ""
)

// addresses flattens an Endpoints object: ready addresses and, marked, the others.
func (s scene) addresses(service string) func() []endpoint {
	return func() []endpoint {
		object, err := s.endpointsObject(service)
		if err != nil {
			return nil
		}
		flat := []endpoint{}
		for _, subset := range object.Subsets {
			numbers := []int32{0}
			if len(subset.Ports) > 0 {
				numbers = nil
				for _, port := range subset.Ports {
					numbers = append(numbers, port.Port)
				}
			}
			for _, number := range numbers {
				for _, address := range subset.Addresses {
					flat = append(flat, endpoint{address.IP, number, "ready"})
				}
				for _, address := range subset.NotReadyAddresses {
					flat = append(flat, endpoint{address.IP, number, "not ready"})
				}
			}
		}
		return flat
	}
}

func (s scene) endpointsObject(service string) (*corev1.Endpoints, error) {
	var object corev1.Endpoints
	err := api.Get(s, types.NamespacedName{Namespace: s.namespace, Name: service}, &object)
	return &object, err
}

// events are the reasons of those that regard a Service.
func (s scene) events(service string) func() []string { return s.eventsOf("Service", service) }

func (s scene) eventsOf(kind, name string) func() []string {
	return func() []string {
		GinkgoHelper()
		var list eventsv1.EventList
		Expect(api.List(s, &list, client.InNamespace(s.namespace))).To(Succeed())
		var reasons []string
		for _, event := range list.Items {
			if event.Regarding.Kind == kind && event.Regarding.Name == name {
				reasons = append(reasons, event.Reason)
			}
		}
		return reasons
	}
}

// handMade creates Endpoints the way a user without a selector does.
func (s scene) handMade(name string, changes ...func(*corev1.Endpoints)) *corev1.Endpoints {
	GinkgoHelper()
	object := &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{IP: "192.0.2.1"}, {IP: "192.0.2.2"}},
			Ports:     []corev1.EndpointPort{{Name: "http", Port: 8080, Protocol: corev1.ProtocolTCP}},
		}},
	}
	for _, change := range changes {
		change(object)
	}
	Expect(api.Create(s, object)).To(Succeed())
	return object
}

const (
	sliceController  = controllers.EndpointSliceControllerName
	mirrorController = controllers.EndpointSliceMirroringControllerName
)

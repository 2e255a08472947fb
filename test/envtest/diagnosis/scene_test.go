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
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
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

func (s scene) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.namespace, Name: name}
}

// service creates one that selects app=name and offers port 80.
func (s scene) service(name string, changes ...func(*corev1.Service)) *corev1.Service {
	GinkgoHelper()
	service := &corev1.Service{ObjectMeta: s.meta(name), Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": name},
		Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}},
	}}
	for _, change := range changes {
		change(service)
	}
	Expect(api.Create(s, service)).To(Succeed())
	return service
}

func noSelector(service *corev1.Service) { service.Spec.Selector = nil }

// pod creates a ready one on node-a.
func (s scene) pod(name, app, address string, changes ...func(*corev1.Pod)) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{NodeName: "node-a", Containers: []corev1.Container{{Name: "main", Image: "web:1"}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}},
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

func onNode(name string) func(*corev1.Pod) { return func(pod *corev1.Pod) { pod.Spec.NodeName = name } }

func notReady(pod *corev1.Pod) { pod.Status.Conditions[0].Status = corev1.ConditionFalse }

func declaring(name string, port int32) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: name, ContainerPort: port}}
	}
}

// update changes an object, and updateStatus its status, until nobody has written
// in between.
func update[T client.Object](s scene, object T, change func(T)) {
	GinkgoHelper()
	write(s, object, change, func() error { return api.Update(s, object) })
}

func updateStatus[T client.Object](s scene, object T, change func(T)) {
	GinkgoHelper()
	write(s, object, change, func() error { return api.Status().Update(s, object) })
}

func write[T client.Object](s scene, object T, change func(T), by func() error) {
	GinkgoHelper()
	Eventually(func() error {
		if err := api.Get(s, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
		change(object)
		return by()
	}).Should(Succeed())
}

func (s scene) ready(pods ...*corev1.Pod) {
	GinkgoHelper()
	for _, pod := range pods {
		updateStatus(s, pod, func(pod *corev1.Pod) {
			pod.Status.Conditions[0].Status = corev1.ConditionTrue
			pod.Status.Conditions[0].LastTransitionTime = metav1.Now()
			pod.Status.ContainerStatuses = nil
		})
	}
}

// slice creates one by hand.
func (s scene) slice(name, service string, addresses ...string) *discoveryv1.EndpointSlice {
	GinkgoHelper()
	port, portName := int32(8080), "http"
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &portName, Port: &port}},
	}
	for _, address := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}})
	}
	Expect(api.Create(s, slice)).To(Succeed())
	return slice
}

func (s scene) read(name string) *corev1.Service {
	GinkgoHelper()
	service := &corev1.Service{}
	Expect(api.Get(s, types.NamespacedName{Namespace: s.namespace, Name: name}, service)).To(Succeed())
	return service
}

// is reads a condition as "True Reason".
func (s scene) is(service, condition string) func() string {
	return func() string {
		found := conditionOf(s.read(service), condition)
		return string(found.Status) + " " + found.Reason
	}
}

func (s scene) says(service, condition string) string {
	return conditionOf(s.read(service), condition).Message
}

func conditionOf(service *corev1.Service, name string) metav1.Condition {
	for _, condition := range service.Status.Conditions {
		if condition.Type == name {
			return condition
		}
	}
	return metav1.Condition{}
}

const well = "True EndpointsReady"

// answers awaits that all is well with a Service.
func (s scene) answers(service string) {
	GinkgoHelper()
	Eventually(s.is(service, diagnosis.EndpointsAvailable)).Should(Equal(well))
	Eventually(s.is(service, diagnosis.Reachable)).Should(Equal("True Reachable"))
}

// version is that of the Service: each write makes another.
func (s scene) version(service string) func() string {
	return func() string { return s.read(service).ResourceVersion }
}

// events are "Warning Reason" of those that regard a Service.
func (s scene) events(service string) func() []string {
	return func() []string {
		GinkgoHelper()
		var list eventsv1.EventList
		Expect(api.List(s, &list, client.InNamespace(s.namespace))).To(Succeed())
		var told []string
		for _, event := range list.Items {
			if event.Regarding.Kind == "Service" && event.Regarding.Name == service && event.ReportingController == "switchyard-diagnosis" {
				told = append(told, event.Type+" "+event.Reason)
			}
		}
		return told
	}
}

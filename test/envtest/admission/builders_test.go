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

package admission

import (
	"context"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The addresses 10.0.0.2 to 10.0.0.16 of these specs are inside the ServiceCIDR
// and nobody's: they are the static band, from which the API server does not
// choose (KEP-3070).

// serviceBuilder reads as one sentence: makeService(ns, "web").external("...").
type serviceBuilder struct{ *corev1.Service }

func makeService(namespace, name string) serviceBuilder {
	return serviceBuilder{&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}}
}

func (b serviceBuilder) external(ips ...string) serviceBuilder {
	b.Spec.ExternalIPs = ips
	return b
}

func (b serviceBuilder) port(number int32) serviceBuilder {
	b.Spec.Ports[0].Port = number
	return b
}

func (b serviceBuilder) targets(name string) serviceBuilder {
	b.Spec.Ports[0].TargetPort = intstr.FromString(name)
	return b
}

func (b serviceBuilder) selects(app string) serviceBuilder {
	b.Spec.Selector = map[string]string{"app": app}
	return b
}

func (b serviceBuilder) balanced() serviceBuilder {
	b.Spec.Type = corev1.ServiceTypeLoadBalancer
	return b
}

func (b serviceBuilder) nodePort(number int32) serviceBuilder {
	b.Spec.Type, b.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, number
	return b
}

func (b serviceBuilder) alias(name string) serviceBuilder {
	b.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: name}
	return b
}

func (b serviceBuilder) labels(labels map[string]string) serviceBuilder {
	b.Labels = labels
	return b
}

func makeEndpoints(namespace, name, ip string) *corev1.Endpoints {
	return &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{{IP: ip}}, Ports: []corev1.EndpointPort{{Port: 80}}}},
	}
}

func makeSlice(namespace, name, ip string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{ip}}},
		Ports:       []discoveryv1.EndpointPort{{Port: ptr.To[int32](80)}},
	}
}

// makePod matches selects("web").
func makePod(namespace, name, portName string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "c", Image: "echo", Ports: []corev1.ContainerPort{{Name: portName, ContainerPort: 8080}}}}},
	}
}

// makeNode creates a node as it is after its kubelet has registered it.
func makeNode(name, address, podCIDR string) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDR: podCIDR, PodCIDRs: []string{podCIDR}}}
	Expect(create(node)).To(Succeed())
	DeferCleanup(func() { Expect(api.Delete(context.Background(), node)).To(Succeed()) })
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = 10250
	Expect(api.Status().Update(context.Background(), node)).To(Succeed())
}

// startPod creates a pod as it is after its kubelet has started it.
func startPod(namespace, name, node, ip string, hostPorts ...int32) *corev1.Pod {
	pod := makePod(namespace, name, "http")
	pod.Spec.NodeName = node
	for _, port := range hostPorts {
		pod.Spec.Containers[0].Ports = append(pod.Spec.Containers[0].Ports, corev1.ContainerPort{ContainerPort: 80, HostPort: port})
	}
	Expect(create(pod)).To(Succeed())
	pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = corev1.PodRunning, ip, []corev1.PodIP{{IP: ip}}
	pod.Status.StartTime = new(metav1.Now())
	Expect(api.Status().Update(context.Background(), pod)).To(Succeed())
	return pod
}

func create(object client.Object) error { return api.Create(context.Background(), object) }

// dryRun asks whether an object could be created, any number of times. The
// object that is passed stays as it is.
func dryRun(object client.Object) error { return dryRunAs(api, object) }

func dryRunAs(user client.Client, object client.Object) error {
	return user.Create(context.Background(), object.DeepCopyObject().(client.Object), client.DryRunAll)
}

// setIngress writes a load-balancer controller's result.
func setIngress(svc *corev1.Service, ips ...string) error {
	svc.Status.LoadBalancer.Ingress = nil
	for _, ip := range ips {
		svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: ip, IPMode: ptr.To(corev1.LoadBalancerIPModeVIP)})
	}
	return api.Status().Update(context.Background(), svc)
}

// beRefused matches the API error of a rule that refuses, with these words.
func beRefused(words ...string) gomegatypes.GomegaMatcher {
	matchers := []gomegatypes.GomegaMatcher{
		HaveOccurred(), Satisfy(apierrors.IsInvalid), MatchError(ContainSubstring("validate.switchyard.dev")),
	}
	for _, word := range words {
		matchers = append(matchers, MatchError(ContainSubstring(word)))
	}
	return And(matchers...)
}

// warningLog keeps the warnings that reach the client.
type warningLog struct {
	mu   sync.Mutex
	text []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (l *warningLog) HandleWarningHeader(_ int, _, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, text)
}

// during returns the warnings of Switchyard while something is done.
func (l *warningLog) during(do func() error) ([]string, error) {
	l.mu.Lock()
	l.text = nil
	l.mu.Unlock()
	err := do()
	l.mu.Lock()
	defer l.mu.Unlock()
	var ours []string
	for _, text := range l.text {
		if strings.Contains(text, "(rule X") || strings.Contains(text, "switchyard") {
			ours = append(ours, text)
		}
	}
	return ours, err
}

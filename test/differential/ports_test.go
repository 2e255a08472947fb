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

package differential

import (
	"math/rand/v2"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/endpointslice"

	"switchyard.dev/switchyard/internal/endpointslices"
)

// TestPortsAreFoundAsUpstream compares the ports of the slice that is planned for
// one pod with what kube-controller-manager's controllers find.
func TestPortsAreFoundAsUpstream(t *testing.T) {
	r := generator(t)
	found, missed := 0, 0
	for range 100_000 {
		service, pod := serviceOfPorts(r), podOfPorts(r)
		var want []int32
		for i := range service.Spec.Ports {
			number, err := endpointslice.FindPort(pod, &service.Spec.Ports[i])
			if err != nil {
				missed++
				continue
			}
			found++
			want = append(want, int32(number))
		}
		plans := endpointslices.Plans(endpointslices.Input{
			Service: service, Pods: []*corev1.Pod{pod}, ManagedBy: "test", MaxEndpoints: 100,
			Node: func(string) *corev1.Node { return &corev1.Node{} },
		})
		if len(plans) != 1 || len(plans[0].Create) != 1 {
			t.Fatalf("not planned as one slice: %s", spelled([]any{service, pod}))
		}
		if got := numbersOf(plans[0].Create[0]); !slices.Equal(got, want) {
			t.Fatalf("ports are %v and should be %v: %s", got, want, spelled([]any{service, pod}))
		}
	}
	t.Logf("%d ports found, %d not", found, missed)
	if min(found, missed) < 10_000 {
		t.Error("the generator makes too little of something")
	}
}

func numbersOf(slice *discoveryv1.EndpointSlice) []int32 {
	var numbers []int32
	for i := range slice.Ports {
		numbers = append(numbers, *slice.Ports[i].Port)
	}
	return numbers
}

func serviceOfPorts(r *rand.Rand) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.0.0.9", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}},
	}
	for i := range 1 + r.IntN(3) {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{
			Name: string(rune('a' + i)), Protocol: anyOf(r, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP), Port: 1 + r.Int32N(99),
			TargetPort: anyOf(r, intstr.FromString("web"), intstr.FromString("dns"), intstr.FromString("8080"), intstr.FromInt32(8080), intstr.IntOrString{}),
		})
	}
	return service
}

// podOfPorts runs, and has ports in containers, sidecars and containers that are
// over before it is ready.
func podOfPorts(r *rand.Rand) *corev1.Pod {
	container := func() corev1.Container {
		var c corev1.Container
		for range r.IntN(3) {
			c.Ports = append(c.Ports, corev1.ContainerPort{
				Name: anyOf(r, "web", "dns", "8080", ""), ContainerPort: 1 + r.Int32N(65535), HostPort: r.Int32N(2) * 9,
				Protocol: anyOf(r, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP),
			})
		}
		return c
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-1"},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.1.0.1", PodIPs: []corev1.PodIP{{IP: "10.1.0.1"}}},
	}
	for range 1 + r.IntN(2) {
		pod.Spec.Containers = append(pod.Spec.Containers, container())
	}
	for range r.IntN(3) {
		init := container()
		init.RestartPolicy = anyOf(r, nil, new(corev1.ContainerRestartPolicyAlways), new(corev1.ContainerRestartPolicyNever))
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, init)
	}
	return pod
}

func anyOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

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

package endpointslices

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// large is a Service with so many endpoints, and the slices that it has.
func large(n int) (Input, []*discoveryv1.EndpointSlice) {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "1", Labels: map[string]string{"app": "web"}},
		Spec: corev1.ServiceSpec{
			ClusterIP: "10.0.0.9", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromString("web")}},
		},
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{corev1.LabelTopologyZone: "a"}}}
	in := Input{Service: service, ManagedBy: managedBy, MaxEndpoints: 100, Node: func(string) *corev1.Node { return node }}
	for i := range n {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("web-%05d", i), UID: types.UID(fmt.Sprint("uid-", i))}}
		pod.Spec.NodeName = node.Name
		pod.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}}}}
		pod.Status.PodIP = fmt.Sprintf("10.1.%d.%d", i/250, 1+i%250)
		pod.Status.PodIPs = []corev1.PodIP{{IP: pod.Status.PodIP}}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		in.Pods = append(in.Pods, pod)
	}
	number := 0
	existing := after(nil, joined(Plans(in)), func() string { number++; return fmt.Sprintf("web-%03d", number) })
	return in, existing
}

// flip is the pod with the other readiness.
func flip(pod *corev1.Pod, i int) *corev1.Pod {
	next := pod.DeepCopy()
	next.Status.Conditions[0].Status = []corev1.ConditionStatus{corev1.ConditionTrue, corev1.ConditionFalse}[i%2]
	return next
}

// BenchmarkOnePodOf5000 is one pod of a Service of 5,000 that turns ready or not
// ready, planned by us for the pod alone, by us for all, and by
// k8s.io/endpointslice.
func BenchmarkOnePodOf5000(b *testing.B) {
	in, existing := large(5000)
	in.Existing = existing
	b.Run("increment", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			if plans, ok := Increment(in, []Change{{Name: in.Pods[2500].Name, Pod: flip(in.Pods[2500], 1)}}); !ok || len(plans[0].Update) != 1 {
				b.Fatal(i, plans, ok)
			}
		}
	})
	whole := in
	whole.Pods = append(append([]*corev1.Pod{}, in.Pods[:2500]...), append([]*corev1.Pod{flip(in.Pods[2500], 1)}, in.Pods[2501:]...)...)
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if plans := Plans(whole); len(plans[0].Update) != 1 {
				b.Fatal(plans)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		upstream := newLibrary(map[string]*corev1.Node{"node-1": in.Node("node-1")}, 100)
		b.ReportAllocs()
		for range b.N {
			if plan := upstream.writes(whole); len(plan.Update) != 1 {
				b.Fatal(plan)
			}
		}
	})
}

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

package why

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/inventory"
)

const system = "switchyard-system"

// old is when the objects of the tests were made.
var old = metav1.NewTime(time.Now().Add(-24 * time.Hour).Truncate(time.Second))

// access is what a server lets be read.
type access struct {
	// list and get return an error to be answered instead.
	list func(client.ObjectList, client.ListOptions) error
	get  func(client.ObjectKey, client.Object) error
}

// asker asks a fake API server.
func asker(t *testing.T, a *access, objects ...client.Object) Asker {
	t.Helper()
	scheme, err := inventory.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	podIP := func(o client.Object) []string { return []string{o.(*corev1.Pod).Status.PodIP} }
	node := func(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} }
	name := func(o client.Object) []string { return []string{o.GetName()} }
	reader := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithReturnManagedFields().
		WithIndex(&corev1.Pod{}, "status.podIP", podIP).WithIndex(&corev1.Pod{}, "spec.nodeName", node).WithIndex(&corev1.Service{}, "metadata.name", name).
		WithInterceptorFuncs(interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
				o := client.ListOptions{}
				o.ApplyOptions(options)
				if a.list != nil {
					if err := a.list(list, o); errors.Is(err, errEmpty) {
						return nil
					} else if err != nil {
						return err
					}
				}
				return c.List(ctx, list, options...)
			},
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				if a.get != nil {
					if err := a.get(key, object); err != nil {
						return err
					}
				}
				return c.Get(ctx, key, object, options...)
			},
		}).Build()
	return Asker{Reader: reader, System: system, NodePorts: func(context.Context) inventory.NodePorts {
		return inventory.NodePorts{Span: allocator.DefaultNodePorts, From: inventory.FromServer}
	}}
}

func forbidden(resource string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no"))
}

func objectMeta(namespace, name string, pairs ...string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: old, Labels: map[string]string{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		m.Labels[pairs[i]] = pairs[i+1]
	}
	return m
}

// web is a Service of two pods on two nodes, with all that makes it answer.
func web() []client.Object {
	service := &corev1.Service{ObjectMeta: objectMeta("shop", "web"), Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.0.0.10", ClusterIPs: []string{"10.0.0.10"}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
		Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}},
	}}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  objectMeta("shop", "web-1", discoveryv1.LabelServiceName, "web", discoveryv1.LabelManagedBy, "endpointslice-controller.k8s.io"),
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: new(""), Port: new(int32(80)), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	objects := []client.Object{service, slice, serviceCIDR(), ipAddress("10.0.0.10", "shop", "web"), namespace("shop"), namespace("pay"), namespace("kube-system")}
	for i, ip := range []string{"10.1.0.1", "10.1.1.1"} {
		pod := pod("shop", []string{"web-a", "web-b"}[i], []string{"n1", "n2"}[i], ip, "app", "web")
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{ip}, NodeName: &pod.Spec.NodeName,
			Conditions: discoveryv1.EndpointConditions{Ready: new(true)}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "shop", Name: pod.Name}})
		objects = append(objects, pod, node([]string{"n1", "n2"}[i], []string{"192.0.2.1", "192.0.2.2"}[i], []string{"10.1.0.0/24", "10.1.1.0/24"}[i]))
	}
	return objects
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: objectMeta("", name)}
}

func node(name, address, podCIDR string) *corev1.Node {
	return &corev1.Node{ObjectMeta: objectMeta("", name), Spec: corev1.NodeSpec{PodCIDRs: []string{podCIDR}}, Status: corev1.NodeStatus{
		Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		Images:     []corev1.ContainerImage{{Names: []string{"large"}}},
	}}
}

// pod is a ready one.
func pod(namespace, name, node, ip string, labels ...string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: objectMeta(namespace, name, labels...),
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "main"}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: old}}},
	}
}

func kubeProxy(node string) *corev1.Pod {
	return pod("kube-system", "kube-proxy-"+node, node, "", "k8s-app", "kube-proxy")
}

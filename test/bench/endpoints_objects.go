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

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/uuid"
)

// hamlet is what the API server holds while endpoints are measured: one namespace
// of Services with two pods each, and one Service with many. There is no kubelet:
// the pods' status is what the benchmark writes.
type hamlet struct {
	*cluster
	services, large int
	// pods are two of each Service in turn, then those of the large one.
	pods []*corev1.Pod
	// turns is how many changes there were, of the small Services and of the large.
	turns [2]int
}

const (
	endpointNodes = 50
	endpointZones = 3
	podsEach      = 2
	largeName     = "large"
)

// build writes everything but the slices.
func (h *hamlet) build(ctx context.Context) error {
	core := h.client.CoreV1()
	if _, err := core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		return err
	}
	for n := range endpointNodes {
		labels := map[string]string{corev1.LabelTopologyZone: fmt.Sprint("zone-", n%endpointZones)}
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeOf(n), Labels: labels}}
		if _, err := core.Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	var puts []put
	for i := range h.services + 1 {
		service := h.service(i)
		puts = append(puts, put{fmt.Sprintf("services/specs/%s/%s", namespace, service.Name), service}, addressOf(service, clusterIP(i)))
	}
	for i := range h.services * podsEach {
		h.pods = append(h.pods, h.pod(i, serviceName(i%h.services)))
	}
	for range h.large {
		h.pods = append(h.pods, h.pod(len(h.pods), largeName))
	}
	for _, pod := range h.pods {
		puts = append(puts, putOf(pod))
	}
	return h.store.write(ctx, puts)
}

func nodeOf(n int) string { return fmt.Sprintf("node-%03d", n%endpointNodes) }

func putOf(pod *corev1.Pod) put { return put{fmt.Sprintf("pods/%s/%s", pod.Namespace, pod.Name), pod} }

// service is the i-th as the API server would have stored it; the one after the
// last is the large one.
func (h *hamlet) service(i int) *corev1.Service {
	name := serviceName(i)
	if i == h.services {
		name = largeName
	}
	address := clusterIP(i).String()
	return &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: uuid.NewUUID(), CreationTimestamp: metav1.Now(), Labels: map[string]string{"app": name},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, Selector: map[string]string{"app": name}, SessionAffinity: corev1.ServiceAffinityNone,
			Ports:     []corev1.ServicePort{{Name: portName, Protocol: corev1.ProtocolTCP, Port: servicePort, TargetPort: intstr.FromInt32(endpointPort)}},
			ClusterIP: address, ClusterIPs: []string{address}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			IPFamilyPolicy: new(corev1.IPFamilyPolicySingleStack), InternalTrafficPolicy: new(corev1.ServiceInternalTrafficPolicyCluster),
		},
	}
}

// pod is one that runs and is ready, of a Deployment of that name.
func (h *hamlet) pod(i int, app string) *corev1.Pod {
	address := nth(endpointCIDR, 1024+i).String()
	now := metav1.Now()
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: fmt.Sprintf("%s-6f7d8c9b5-%05d", app, i), UID: uuid.NewUUID(), CreationTimestamp: now,
			Labels: map[string]string{"app": app, "pod-template-hash": "6f7d8c9b5"},
		},
		Spec: corev1.PodSpec{
			NodeName: nodeOf(i), RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst,
			Containers: []corev1.Container{{
				Name: "web", Image: "web", Ports: []corev1.ContainerPort{{Name: portName, ContainerPort: endpointPort, Protocol: corev1.ProtocolTCP}},
			}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now}},
		},
	}
}

// wipe leaves no slices and no Endpoints, and those pods ready again. The API
// server learns of it from etcd, thousands of deletions at once, which it would
// end a watch for.
func (h *hamlet) wipe(ctx context.Context, notReady map[string]bool) error {
	for _, folder := range []string{"endpointslices/", "services/endpoints/"} {
		if err := h.store.remove(ctx, folder+namespace+"/"); err != nil {
			return err
		}
	}
	var puts []put
	for _, pod := range h.pods {
		if notReady[pod.Name] {
			puts = append(puts, putOf(pod))
		}
	}
	if err := h.store.write(ctx, puts); err != nil {
		return err
	}
	return until(ctx, time.Minute, func() (bool, error) {
		fromMemory := metav1.ListOptions{ResourceVersion: "0"}
		slices, err := h.client.DiscoveryV1().EndpointSlices(namespace).List(ctx, fromMemory)
		if err != nil || len(slices.Items) > 0 {
			return false, err
		}
		endpoints, err := h.client.CoreV1().Endpoints(namespace).List(ctx, fromMemory)
		return err == nil && len(endpoints.Items) == 0, err
	})
}

// next is the pod whose turn it is, none where no change in any of them has been
// waited for to the end. Each Service has its turn before one has another.
func (h *hamlet) next(seen *readiness, large bool) *corev1.Pod {
	pods, turn := h.pods[:h.services*podsEach], &h.turns[0]
	if large {
		pods, turn = h.pods[h.services*podsEach:], &h.turns[1]
	}
	for range pods {
		pod := pods[*turn%len(pods)]
		*turn++
		if !seen.pending(pod.Name) {
			return pod
		}
	}
	return nil
}

// write has a pod be ready or not, as its kubelet would.
func (h *hamlet) write(ctx context.Context, pod string, ready bool) error {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	patch := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":%q,"lastTransitionTime":%q}]}}`, status, time.Now().UTC().Format(time.RFC3339))
	_, err := h.client.CoreV1().Pods(namespace).Patch(ctx, pod, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	return err
}

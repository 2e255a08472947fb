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

package controllers

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	endpointsliceutil "k8s.io/endpointslice/util"
)

// BenchmarkPodEvent finds the Services that the event of one pod concerns, among
// 5,000 Services and 10,000 pods of one namespace, each pod in its turn: by the
// index, and as kube-controller-manager does, which tries every Service. The
// event is one that concerns the pod's Service, or a change of its labels, which
// concerns two.
func BenchmarkPodEvent(b *testing.B) {
	const services, pods = 5000, 10_000
	index := newSelectorIndex()
	stored := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for i := range services {
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("service-", i)}}
		service.Spec.Selector = map[string]string{"app": service.Name, "team": "blue"}
		index.Set(types.NamespacedName{Namespace: "default", Name: service.Name}, service.Spec.Selector)
		if err := stored.Add(service); err != nil {
			b.Fatal(err)
		}
	}
	lister := corelisters.NewServiceLister(stored)
	pod := func(i, service int, ready corev1.ConditionStatus) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("pod-", i), ResourceVersion: string(ready)}}
		p.Labels = map[string]string{"app": fmt.Sprint("service-", service%services), "team": "blue", "pod-template-hash": "6f7d8", "zone": "a"}
		p.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.1"}}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
		return p
	}
	for _, event := range []struct {
		name     string
		moves    int // to the Service so many further on
		concerns int
	}{{"readiness", 0, 1}, {"labels", 1, 2}} {
		var before, after []*corev1.Pod
		for i := range pods {
			before = append(before, pod(i, i, corev1.ConditionTrue))
			after = append(after, pod(i, i+event.moves, corev1.ConditionFalse))
		}
		b.Run(event.name+"/indexed", func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if found := servicesTouchedBy(index, before[i%pods], after[i%pods]); len(found) != event.concerns {
					b.Fatal(found)
				}
			}
		})
		b.Run(event.name+"/trying every Service", func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				key := endpointsliceutil.GetPodUpdateProjectionKey(before[i%pods], after[i%pods])
				if found, err := endpointsliceutil.GetServicesToUpdate(lister, key); err != nil || len(found) != event.concerns {
					b.Fatal(found, err)
				}
			}
		})
	}
}

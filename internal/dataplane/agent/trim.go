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

package agent

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// trim drops what the agent never reads before an object is kept in memory:
// every node holds every slice of the cluster.
func trim(object any) (any, error) {
	switch o := object.(type) {
	case *corev1.Service:
		o.ObjectMeta = trimMeta(o.ObjectMeta, model.Annotations()...)
		o.Spec.Selector = nil
		o.Status.Conditions = nil
	case *discoveryv1.EndpointSlice:
		o.ObjectMeta = trimMeta(o.ObjectMeta, corev1.EndpointsLastChangeTriggerTime, model.AnnotationWeights)
		for i := range o.Endpoints {
			e := &o.Endpoints[i]
			e.TargetRef, e.DeprecatedTopology, e.Hostname = trimTarget(e.TargetRef), nil, nil
		}
	case *corev1.Node:
		o.ObjectMeta = trimMeta(o.ObjectMeta)
		o.Status = corev1.NodeStatus{Addresses: o.Status.Addresses}
	}
	return object, nil
}

// trimTarget keeps the name of a pod, by which users give it a weight.
func trimTarget(target *corev1.ObjectReference) *corev1.ObjectReference {
	if target == nil || target.Kind != "Pod" {
		return nil
	}
	return &corev1.ObjectReference{Kind: target.Kind, Name: target.Name}
}

// trimMeta keeps what identifies an object, its labels, and some annotations.
func trimMeta(meta metav1.ObjectMeta, annotations ...string) metav1.ObjectMeta {
	kept := metav1.ObjectMeta{
		Namespace: meta.Namespace, Name: meta.Name, UID: meta.UID, ResourceVersion: meta.ResourceVersion,
		CreationTimestamp: meta.CreationTimestamp, DeletionTimestamp: meta.DeletionTimestamp, Labels: meta.Labels,
	}
	for _, key := range annotations {
		if value, ok := meta.Annotations[key]; ok {
			metav1.SetMetaDataAnnotation(&kept, key, value)
		}
	}
	return kept
}

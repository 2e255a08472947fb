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
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	endpointsliceutil "k8s.io/endpointslice/util"
)

// servicesTouchedBy lists the Services whose endpoints a pod update can change.
// When only the labels moved, a Service that selects the pod before and after has
// the same endpoint as before: the symmetric difference is enough. When the pod
// itself changed, all of them need a look.
func servicesTouchedBy(index *selectorIndex, before, after *corev1.Pod) []types.NamespacedName {
	// A resync repeats objects that did not change.
	if before.ResourceVersion != "" && before.ResourceVersion == after.ResourceVersion {
		return nil
	}
	podChanged := endpointChanged(before, after)
	if maps.Equal(before.Labels, after.Labels) {
		if !podChanged {
			return nil
		}
		return index.Matches(after.Namespace, after.Labels)
	}
	return joinMatches(
		index.Matches(before.Namespace, before.Labels),
		index.Matches(after.Namespace, after.Labels),
		podChanged)
}

// joinMatches is the union of two sets of Services, or without the common ones
// their symmetric difference.
func joinMatches(before, after []types.NamespacedName, keepCommon bool) []types.NamespacedName {
	var joined []types.NamespacedName
	for _, service := range after {
		if keepCommon || !slices.Contains(before, service) {
			joined = append(joined, service)
		}
	}
	for _, service := range before {
		if !slices.Contains(after, service) {
			joined = append(joined, service)
		}
	}
	return joined
}

// endpointChanged compares what an endpoint is made of. Name, namespace and
// containers' ports cannot change, but for a pod that was made again while the
// watch was down, which shows as an update to another UID.
func endpointChanged(before, after *corev1.Pod) bool {
	return before.UID != after.UID ||
		before.Spec.Hostname != after.Spec.Hostname ||
		before.Spec.Subdomain != after.Spec.Subdomain ||
		before.Spec.NodeName != after.Spec.NodeName ||
		(before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil) ||
		endpointsliceutil.IsPodReady(before) != endpointsliceutil.IsPodReady(after) ||
		terminal(before) != terminal(after) ||
		!slices.Equal(before.Status.PodIPs, after.Status.PodIPs)
}

// terminal pods have run to their end and never serve again.
func terminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

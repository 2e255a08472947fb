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
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/endpointslices"
)

// podsByLabel is the cache index from a label of a namespace to the pods that
// carry it.
const podsByLabel = "switchyard.dev/endpoints-pod-label"

// uniqueLabels are on few pods each, or on those of one owner: an index of them
// would be large, and Services select by something else.
var uniqueLabels = []string{
	"pod-template-hash", "controller-revision-hash", "pod-template-generation",
	"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name",
}

// podIndex finds the pods of a Service without a look at the others of its
// namespace, and without copying them.
type podIndex struct{ indexer toolscache.Indexer }

func newPodIndex(ctx context.Context, mgr ctrl.Manager) (podIndex, error) {
	informer, err := mgr.GetCache().GetInformer(ctx, &corev1.Pod{})
	if err != nil {
		return podIndex{}, fmt.Errorf("watching pods: %w", err)
	}
	shared, ok := informer.(toolscache.SharedIndexInformer)
	if !ok {
		return podIndex{}, fmt.Errorf("watching pods: the cache of type %T offers no indexer; the endpoint controllers need a cluster-wide cache", informer)
	}
	// Both controllers of pods' endpoints use it.
	if _, there := shared.GetIndexer().GetIndexers()[podsByLabel]; there {
		return podIndex{shared.GetIndexer()}, nil
	}
	if err := shared.AddIndexers(toolscache.Indexers{podsByLabel: labelsOfPod}); err != nil {
		return podIndex{}, fmt.Errorf("indexing pods by label: %w", err)
	}
	return podIndex{shared.GetIndexer()}, nil
}

func labelsOfPod(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil, nil
	}
	keys := make([]string, 0, len(pod.Labels))
	for key, value := range pod.Labels {
		if !slices.Contains(uniqueLabels, key) {
			keys = append(keys, labelKey(pod.Namespace, labelPair{key, value}))
		}
	}
	return keys, nil
}

func labelKey(namespace string, pair labelPair) string {
	return strings.Join([]string{namespace, pair.key, pair.value}, "\x00")
}

// selected are the pods of a Service, in order of their names. They are found by
// the anchor, the label that fewest other Services select by, unless the selector
// has changed since that was chosen.
func (x podIndex) selected(service *corev1.Service, anchor labelPair) ([]*corev1.Pod, error) {
	index, value := toolscache.NamespaceIndex, service.Namespace
	if wanted, ok := service.Spec.Selector[anchor.key]; ok && wanted == anchor.value && !slices.Contains(uniqueLabels, anchor.key) {
		index, value = podsByLabel, labelKey(service.Namespace, anchor)
	}
	objects, err := x.indexer.ByIndex(index, value)
	if err != nil {
		return nil, fmt.Errorf("listing the pods of Service %s: %w", client.ObjectKeyFromObject(service), err)
	}
	selector := labels.ValidatedSetSelector(service.Spec.Selector)
	pods := make([]*corev1.Pod, 0, len(objects))
	for _, object := range objects {
		if pod, ok := object.(*corev1.Pod); ok && selector.Matches(labels.Set(pod.Labels)) {
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return pods, nil
}

// changes looks a few pods up.
func (x podIndex) changes(service *corev1.Service, names []string) ([]endpointslices.Change, error) {
	selector := labels.ValidatedSetSelector(service.Spec.Selector)
	changes := make([]endpointslices.Change, len(names))
	for i, name := range names {
		changes[i].Name = name
		object, found, err := x.indexer.GetByKey(service.Namespace + "/" + name)
		if err != nil {
			return nil, fmt.Errorf("looking up pod %s/%s: %w", service.Namespace, name, err)
		}
		if pod, ok := object.(*corev1.Pod); found && ok && selector.Matches(labels.Set(pod.Labels)) {
			changes[i].Pod = pod
		}
	}
	return changes, nil
}

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

package webhooks

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The cache indexes behind World. They belong to the admission rules alone;
// the prefix keeps them apart from what controllers index.
const (
	indexVIP         = "admission.vip"
	indexClusterIP   = "admission.clusterIP"
	indexNodePort    = "admission.nodePort"
	indexSelector    = "admission.selector"
	indexPodLabel    = "admission.podLabel"
	indexPodIP       = "admission.podIP"
	indexHostPort    = "admission.hostPort"
	indexNodeAddress = "admission.nodeAddress"
	indexPodCIDR     = "admission.podCIDR"
	indexKubeletPort = "admission.kubeletPort"
	indexSharingKey  = "admission.sharingKey"
	indexServedClass = "admission.servedClass"
)

// SetupIndexes registers the indexes. It must be called before the manager
// starts, and whether or not certificates are there yet.
func SetupIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []struct {
		object client.Object
		name   string
		keys   client.IndexerFunc
	}{
		{&corev1.Service{}, indexVIP, vipKeys},
		{&corev1.Service{}, indexClusterIP, keysOf(clusterAddrs)},
		{&corev1.Service{}, indexNodePort, keysOf(portNumbers)},
		{&corev1.Service{}, indexSelector, selectorKeys},
		{&corev1.Service{}, indexSharingKey, sharingKeys},
		{&corev1.Service{}, indexServedClass, servedClassKeys},
		{&corev1.Pod{}, indexPodLabel, podLabelKeys},
		{&corev1.Pod{}, indexPodIP, keysOf(podAddrs)},
		{&corev1.Pod{}, indexHostPort, keysOf(hostPorts)},
		{&corev1.Node{}, indexNodeAddress, keysOf(nodeAddrs)},
		{&corev1.Node{}, indexPodCIDR, keysOf(podCIDRs)},
		{&corev1.Node{}, indexKubeletPort, keysOf(kubeletPorts)},
	} {
		if err := indexer.IndexField(ctx, index.object, index.name, index.keys); err != nil {
			return fmt.Errorf("registering index %s: %w", index.name, err)
		}
	}
	return nil
}

// vipKeys are addresses without ports: their product could be many times as
// large as the Service.
func vipKeys(object client.Object) []string {
	var keys []string
	for addr := range wantedAddrs(object.(*corev1.Service)) {
		keys = append(keys, addr.String())
	}
	return keys
}

// keysOf turns what an object occupies into index keys, each once.
func keysOf[T client.Object, K fmt.Stringer](occupied func(T) []K) client.IndexerFunc {
	return func(object client.Object) []string {
		var keys []string
		for _, key := range occupied(object.(T)) {
			if text := key.String(); !slices.Contains(keys, text) {
				keys = append(keys, text)
			}
		}
		return keys
	}
}

// portNumber is a port without a protocol, for keysOf.
type portNumber int32

func (p portNumber) String() string { return strconv.Itoa(int(p)) }

func kubeletPorts(node *corev1.Node) []portNumber {
	return []portNumber{portNumber(node.Status.DaemonEndpoints.KubeletEndpoint.Port)}
}

func portNumbers(svc *corev1.Service) []portNumber {
	var numbers []portNumber
	for _, port := range heldPorts(svc) {
		numbers = append(numbers, portNumber(port))
	}
	return numbers
}

func selectorKeys(object client.Object) []string {
	if svc := object.(*corev1.Service); selects(svc) {
		return []string{selectorKey(svc.Spec.Selector)}
	}
	return nil
}

func sharingKeys(object client.Object) []string {
	if key := sharingKey(object.(*corev1.Service)); key != "" {
		return []string{key}
	}
	return nil
}

func servedClassKeys(object client.Object) []string {
	svc := object.(*corev1.Service)
	if class := classOf(svc); class != "" && len(svc.Status.LoadBalancer.Ingress) > 0 {
		return []string{class}
	}
	return nil
}

// selectorKey is the same for equal selectors, whatever their order.
func selectorKey(selector map[string]string) string {
	return labels.Set(selector).String()
}

func podLabelKeys(object client.Object) []string {
	var keys []string
	for key, value := range object.GetLabels() {
		keys = append(keys, labelKey(key, value))
	}
	return keys
}

func labelKey(key, value string) string { return key + "=" + value }

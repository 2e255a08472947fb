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
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkForeignPods is X9 (CVE-2021-25740). Whoever may write endpoints of one
// namespace could lead what may reach that namespace, an ingress controller for
// example, to the pods of another, past their network policies. That the writer
// may read such a pod changes nothing: reading is not sending.
func checkForeignPods(ctx context.Context, world World, change BackendChange) ([]Finding, error) {
	had, seen := change.had(), map[netip.Addr]bool{}
	var found []Finding
	for _, b := range change.distinct() {
		if had[b.Addr] != nil || seen[b.Addr] {
			continue
		}
		seen[b.Addr] = true
		detail, err := foreignAddress(ctx, world, b.Addr, change.Namespace)
		if err != nil {
			return found, err
		}
		if detail != "" {
			found = append(found, Finding{Path: b.Path(), Value: b.Text, Detail: detail})
		}
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

// foreignAddress says why an address is none for a namespace's endpoints, or nothing.
// Nearly always it is of the namespace's own pod, which is not read again for each
// of a thousand: who lags behind the cache could as well have written a bit earlier.
func foreignAddress(ctx context.Context, world World, addr netip.Addr, namespace string) (string, error) {
	if own, err := world.NamespaceHasPod(ctx, namespace, addr); own || err != nil {
		return "", err
	}
	pods, err := world.PodsByIP(ctx, addr)
	if err != nil {
		return "", err
	}
	if foreign := foreignPod(pods, namespace); foreign != nil {
		name, _ := world.PodNameOf(ctx, foreign)
		return fmt.Sprintf("this is the address of %s, and only its own namespace may make it an endpoint (CVE-2021-25740); "+
			"use a Service of that namespace", name), nil
	}
	if len(pods) > 0 {
		return "", nil
	}
	return addressToBe(ctx, world, addr, namespace)
}

// addressToBe says whether some pod will get the address, nobody knows of which
// namespace: who lists the free addresses of a node has its next pods. That the
// pod is the namespace's own is looked up once more, past the cache, because its
// writer may be faster than our watch. An address of a node is no pod's.
func addressToBe(ctx context.Context, world World, addr netip.Addr, namespace string) (string, error) {
	nodes, err := world.NodesByPodAddress(ctx, addr)
	if err != nil || len(nodes) == 0 {
		return "", err
	}
	own, err := world.PodsOfNamespaceByIP(ctx, namespace, addr)
	if err != nil || len(own) > 0 {
		return "", err
	}
	gateways, err := world.NodesByAddress(ctx, addr)
	if err != nil || len(gateways) > 0 {
		return "", err
	}
	return fmt.Sprintf("this is inside the podCIDRs of %s and no pod of this namespace has it, so another namespace's may get it (CVE-2021-25740); "+
		"add it when the pod has it",
		world.NodeNameOf(ctx, nodes[0])), nil
}

// foreignPod is one of another namespace, unless the namespace has such a pod too.
func foreignPod(pods []*corev1.Pod, namespace string) *corev1.Pod {
	var foreign *corev1.Pod
	for _, pod := range pods {
		if pod.Namespace == namespace {
			return nil
		}
		foreign = pod
	}
	return foreign
}

// sliceControllers are the managed-by names of Kubernetes' own controllers. Their
// writes are not judged, so whoever else claims to be one of them is not.
var sliceControllers = map[string]bool{
	"endpointslice-controller.k8s.io":          true,
	"endpointslicemirroring-controller.k8s.io": true,
}

// checkSliceUnmanaged is X10. All slices of a Service are added up, so one
// written by hand brings endpoints that the selector did not select, and that
// no controller removes when they are gone.
func checkSliceUnmanaged(ctx context.Context, world World, change BackendChange) ([]Finding, error) {
	if change.Slice == nil || !relabelled(change) && !addsBackends(change) {
		return nil, nil
	}
	service, manager := change.Slice.Labels[discoveryv1.LabelServiceName], change.Slice.Labels[discoveryv1.LabelManagedBy]
	if service == "" || manager != "" && !sliceControllers[manager] {
		return nil, nil
	}
	svc, err := world.ServiceByName(ctx, types.NamespacedName{Namespace: change.Namespace, Name: service})
	if err != nil || svc == nil || !selects(svc) {
		return nil, err
	}
	return []Finding{{Path: field.NewPath("metadata", "labels").Key(discoveryv1.LabelServiceName), Value: service, Detail: fmt.Sprintf(
		"%s selects its endpoints itself; use one without a selector, or name what manages this slice in the label %s",
		world.NameOf(ctx, svc), discoveryv1.LabelManagedBy)}}, nil
}

// relabelled is true on create, and when the change gives the slice to another
// Service or to nobody.
func relabelled(change BackendChange) bool {
	if change.OldSlice == nil {
		return true
	}
	for _, label := range []string{discoveryv1.LabelServiceName, discoveryv1.LabelManagedBy} {
		if change.OldSlice.Labels[label] != change.Slice.Labels[label] {
			return true
		}
	}
	return false
}

// addsBackends is true when the change names an address that was not there.
func addsBackends(change BackendChange) bool {
	had := change.had()
	return slices.ContainsFunc(change.distinct(), func(b Backend) bool { return had[b.Addr] == nil })
}

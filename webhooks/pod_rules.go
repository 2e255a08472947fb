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

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkFamilies is X13. A family that no pod has an address of never gets an
// endpoint, and clients that prefer it wait in vain.
func checkFamilies(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	families := change.New.Spec.IPFamilies
	if len(families) == 0 || !selects(change.New) || !selectionChanged(change) && slices.Equal(change.Old.Spec.IPFamilies, families) {
		return nil, nil
	}
	pods, err := world.PodsBySelector(ctx, change.New.Namespace, change.New.Spec.Selector)
	if err != nil {
		return nil, err
	}
	counts, running := countFamilies(pods)
	var found []Finding
	for i, family := range families {
		if running > 0 && counts[family] == 0 {
			found = append(found, Finding{Path: field.NewPath("spec", "ipFamilies").Index(i), Value: family, Detail: fmt.Sprintf(
				"no matching pod has an %s address, so this family has no endpoint; use ipFamilyPolicy SingleStack, or pods with both families", family)})
		}
	}
	return found, nil
}

// countFamilies counts the pods with an address, and those of each family.
func countFamilies(pods []*corev1.Pod) (counts map[corev1.IPFamily]int, running int) {
	counts = map[corev1.IPFamily]int{}
	for _, pod := range pods {
		if gone(pod) || len(pod.Status.PodIPs) == 0 {
			continue
		}
		running++
		for _, ip := range pod.Status.PodIPs {
			if addr, ok := parseAddr(ip.IP); ok && addr.Is4() {
				counts[corev1.IPv4Protocol]++
			} else if ok {
				counts[corev1.IPv6Protocol]++
			}
		}
	}
	return counts, running
}

// checkHostnames is X16. The record HOSTNAME.SERVICE is meant to be one pod's
// (the DNS specification of Kubernetes, 2.4.1); two pods with one name are told
// apart by nobody.
func checkHostnames(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	svc := change.New
	if !selects(svc) || svc.Spec.ClusterIP != corev1.ClusterIPNone || !selectionChanged(change) {
		return nil, nil
	}
	pods, err := world.PodsBySelector(ctx, svc.Namespace, svc.Spec.Selector)
	if err != nil {
		return nil, err
	}
	first, told := map[string]*corev1.Pod{}, map[string]bool{}
	var found []Finding
	for _, pod := range pods {
		host := pod.Spec.Hostname
		if gone(pod) || host == "" || pod.Spec.Subdomain != svc.Name || told[host] {
			continue
		}
		if first[host] == nil {
			first[host] = pod
			continue
		}
		told[host] = true
		found = append(found, Finding{Path: field.NewPath("spec", "selector"), Value: svc.Spec.Selector, Detail: fmt.Sprintf(
			"%s and %s both have the hostname %s, so that name has the addresses of both; give each pod its own",
			podName(ctx, world, first[host]), podName(ctx, world, pod), host)})
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

func podName(ctx context.Context, world World, pod *corev1.Pod) string {
	name, _ := world.PodNameOf(ctx, pod)
	return name
}

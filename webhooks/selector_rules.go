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
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxTwins is how many Services with one selector are taken for a mistake. More
// are somebody's way of publishing pods, and saying so each time would only
// bury other warnings.
const maxTwins = 2

// checkSelector is X12: who else selects the same pods, and whether there are any.
func checkSelector(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	found, err := checkSelectorInUse(ctx, world, change)
	if err != nil {
		return found, err
	}
	more, err := checkSelectsPods(ctx, world, change)
	return append(found, more...), err
}

// checkSelectsPods tells of a new selector that leaves a Service without
// endpoints. A Service that is made has none yet, because Services come before
// their pods in every chart, and to say so each time would bury other warnings.
func checkSelectsPods(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	if change.Old == nil || !selects(change.New) || !selectionChanged(change) {
		return nil, nil
	}
	pods, err := world.PodsBySelector(ctx, change.New.Namespace, change.New.Spec.Selector)
	if err != nil || slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return !gone(pod) }) {
		return nil, err
	}
	return []Finding{{Path: field.NewPath("spec", "selector"), Value: change.New.Spec.Selector, WarnOnly: true,
		Detail: "no pod of this namespace has these labels, so the Service has no endpoint until one does; compare them with the pods' labels"}}, nil
}

// checkSelectorInUse is the first half of X12. Services of different kinds, a headless one beside a
// ClusterIP or a public one beside an internal one, are how the same pods are
// usually published more than once, so such a pair is left alone.
func checkSelectorInUse(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	if !selects(change.New) || !selectionChanged(change) {
		return nil, nil
	}
	all, err := world.ServicesBySelector(ctx, change.New.Namespace, change.New.Spec.Selector)
	if err != nil {
		return nil, err
	}
	twins := slices.DeleteFunc(change.others(all), func(svc *corev1.Service) bool {
		return svc.Spec.Type != change.New.Spec.Type || proxied(svc) != proxied(change.New)
	})
	if len(twins) == 0 || len(twins) > maxTwins {
		return nil, nil
	}
	return []Finding{{Path: field.NewPath("spec", "selector"), Value: change.New.Spec.Selector,
		Detail: fmt.Sprintf("%s selects the same pods; if one Service is enough, give it the ports of both",
			world.NameOf(ctx, twins[0]))}}, nil
}

// selects tells whether endpoints are looked for at all.
func selects(svc *corev1.Service) bool {
	return len(svc.Spec.Selector) > 0 && svc.Spec.Type != corev1.ServiceTypeExternalName
}

// selectionChanged is true on create, and when the change makes the Service
// select something else than before.
func selectionChanged(change ServiceChange) bool {
	return change.Old == nil || !selects(change.Old) || !maps.Equal(change.Old.Spec.Selector, change.New.Spec.Selector)
}

// checkTargetPorts is X11. That no pod matches is X12's.
func checkTargetPorts(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	ports := newNamedPorts(change)
	if len(ports) == 0 {
		return nil, nil
	}
	pods, err := world.PodsBySelector(ctx, change.New.Namespace, change.New.Spec.Selector)
	if err != nil {
		return nil, err
	}
	pods = slices.DeleteFunc(slices.Clone(pods), gone)
	declared := declaredPorts(pods)
	var found []Finding
	for _, port := range ports {
		if declared[port.declaration] == len(pods) {
			continue
		}
		found = append(found, targetPortMissing(ctx, world, port, pods, declared[port.declaration]))
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

// gone pods get no endpoints any more.
func gone(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// declaration is a container port as targetPort looks for it.
type declaration struct {
	name     string
	protocol corev1.Protocol
}

// namedPort is a port whose target is a name that pods give a number to.
type namedPort struct {
	declaration
	path *field.Path
}

// declaredPorts counts the pods that declare a port. It follows the endpoint
// controllers: name and protocol, over the containers and then over restartable
// init containers (KEP-753 sidecars).
func declaredPorts(pods []*corev1.Pod) map[declaration]int {
	count := map[declaration]int{}
	for _, pod := range pods {
		mine := map[declaration]bool{}
		for _, port := range podPorts(pod) {
			if d := (declaration{port.Name, protocolOf(port.Protocol)}); !mine[d] {
				mine[d] = true
				count[d]++
			}
		}
	}
	return count
}

// newNamedPorts are the Service's named target ports, without those that it
// had before with the same selector.
func newNamedPorts(change ServiceChange) []namedPort {
	if !selects(change.New) {
		return nil
	}
	had := map[string]bool{}
	if !selectionChanged(change) {
		for _, port := range change.Old.Spec.Ports {
			had[port.TargetPort.String()+"/"+string(protocolOf(port.Protocol))] = true
		}
	}
	var ports []namedPort
	for i, port := range change.New.Spec.Ports {
		protocol := protocolOf(port.Protocol)
		if port.TargetPort.Type != intstr.String || had[port.TargetPort.StrVal+"/"+string(protocol)] {
			continue
		}
		path := field.NewPath("spec", "ports").Index(i).Child("targetPort")
		ports = append(ports, namedPort{declaration{port.TargetPort.StrVal, protocol}, path})
	}
	return ports
}

// targetPortMissing words what is missing. All missing is the rule's own
// severity; some missing is a warning, because a rollout that adds the port
// looks just like it. Who may not read the pods is not told about them.
func targetPortMissing(ctx context.Context, world World, port namedPort, pods []*corev1.Pod, declaring int) Finding {
	finding := Finding{Path: port.path, Value: port.name, WarnOnly: declaring > 0}
	missing := pods[slices.IndexFunc(pods, func(pod *corev1.Pod) bool { return !declares(pod, port.declaration) })]
	name, told := world.PodNameOf(ctx, missing)
	switch {
	case !told && declaring > 0:
		finding.Detail = fmt.Sprintf("some matching pods declare no %s port of this name and get no traffic for it", port.protocol)
	case !told:
		finding.Detail = fmt.Sprintf("no matching pod declares a %s port of this name, so there is no endpoint for it", port.protocol)
	case declaring > 0:
		finding.Detail = fmt.Sprintf("%d of %d matching pods, one of them %s, declare no %s port of this name and get no traffic for it",
			len(pods)-declaring, len(pods), name, port.protocol)
	default:
		finding.Detail = fmt.Sprintf("none of the %d matching pods declares a %s port of this name (%s declares %s), so there is no endpoint for it",
			len(pods), port.protocol, name, portList(missing))
	}
	return finding
}

func declares(pod *corev1.Pod, port declaration) bool {
	return declaredPorts([]*corev1.Pod{pod})[port] > 0
}

func podPorts(pod *corev1.Pod) []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	for _, container := range pod.Spec.Containers {
		ports = append(ports, container.Ports...)
	}
	for _, container := range pod.Spec.InitContainers {
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			ports = append(ports, container.Ports...)
		}
	}
	return ports
}

// portList shows a few of the pod's named ports, which usually makes the
// mistake plain: a typing error, or the right name with another protocol. The
// API server cuts warnings off at 256 characters.
func portList(pod *corev1.Pod) string {
	var names []string
	for _, port := range podPorts(pod) {
		if port.Name != "" {
			names = append(names, port.Name+"/"+string(protocolOf(port.Protocol)))
		}
	}
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > 3:
		names = append(names[:3], "...")
	}
	return strings.Join(names, ", ")
}

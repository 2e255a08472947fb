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

// checkSelectorInUse is X12. A headless Service beside a normal one is how
// StatefulSets are usually published, so such a pair is left alone.
func checkSelectorInUse(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	if !selects(change.New) || !selectionChanged(change) {
		return nil, nil
	}
	twins, err := world.ServicesBySelector(ctx, change.New.Namespace, change.New.Spec.Selector)
	if err != nil {
		return nil, err
	}
	for _, twin := range change.others(twins) {
		if selects(twin) && proxied(twin) == proxied(change.New) {
			return []Finding{{Path: field.NewPath("spec", "selector"), Value: change.New.Spec.Selector,
				Detail: fmt.Sprintf("%s selects the same pods; if one Service is enough, give it the ports of both",
					world.NameOf(ctx, twin))}}, nil
		}
	}
	return nil, nil
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

// checkTargetPorts is X11. That no pod matches is never reported: pods may
// come later, and a condition of the Service tells until they do.
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
	var found []Finding
	for _, port := range ports {
		if finding, broken := judgeTargetPort(port, pods); broken {
			found = append(found, finding)
		}
	}
	return found, nil
}

// gone pods get no endpoints any more.
func gone(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// namedPort is a port whose target is a name that pods give a number to.
type namedPort struct {
	path     *field.Path
	name     string
	protocol corev1.Protocol
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
		ports = append(ports, namedPort{path, port.TargetPort.StrVal, protocol})
	}
	return ports
}

// judgeTargetPort counts the pods that resolve the name. All missing is the
// rule's own severity; some missing is a warning, because a rollout that adds
// the port looks just like it.
func judgeTargetPort(port namedPort, pods []*corev1.Pod) (Finding, bool) {
	var missing []*corev1.Pod
	for _, pod := range pods {
		if !declares(pod, port.name, port.protocol) {
			missing = append(missing, pod)
		}
	}
	finding := Finding{Path: port.path, Value: port.name}
	switch {
	case len(missing) == 0:
		return Finding{}, false
	case len(missing) < len(pods):
		finding.WarnOnly = true
		finding.Detail = fmt.Sprintf("%d of %d matching pods, one of them %s, declare no %s port of this name and get no traffic for it",
			len(missing), len(pods), missing[0].Name, port.protocol)
	default:
		finding.Detail = fmt.Sprintf("none of the %d matching pods declares a %s port of this name (pod %s declares %s), so there is no endpoint for it",
			len(pods), port.protocol, missing[0].Name, portList(missing[0]))
	}
	return finding, true
}

// declares follows the endpoint controllers: name and protocol, over the
// containers and then over restartable init containers (KEP-753 sidecars).
func declares(pod *corev1.Pod, name string, protocol corev1.Protocol) bool {
	for _, port := range podPorts(pod) {
		if port.Name == name && protocolOf(port.Protocol) == protocol {
			return true
		}
	}
	return false
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

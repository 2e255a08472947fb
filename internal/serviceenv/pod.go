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

package serviceenv

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ForPod is what For gives to the containers of a pod when they start again,
// without what every one of them sets itself, and what is to be known of the
// containers that run now.
func ForPod(services []*corev1.Service, pod *corev1.Pod) ([]Variable, []Finding) {
	links := pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks
	given := For(services, pod.Namespace, links)
	visible := slices.DeleteFunc(slices.Clone(given), func(v Variable) bool {
		return !slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return !sets(c, v.Name) })
	})
	return visible, slices.Concat(Check(visible), overridden(given, pod), notYet(services, given, pod))
}

// sets looks at the names in the spec; what a container takes from ConfigMaps
// and Secrets as a whole is not read.
func sets(c corev1.Container, name string) bool {
	return slices.ContainsFunc(c.Env, func(own corev1.EnvVar) bool { return own.Name == name })
}

func overridden(variables []Variable, pod *corev1.Pod) []Finding {
	var findings []Finding
	for _, c := range pod.Spec.Containers {
		var names, services []string
		for _, v := range variables {
			if sets(c, v.Name) && !slices.Contains(names, v.Name) {
				names, services = append(names, v.Name), append(services, v.Service.String())
			}
		}
		if len(names) > 0 {
			slices.Sort(services)
			findings = append(findings, Finding{
				Kind: Overridden, Services: slices.Compact(services),
				Message: fmt.Sprintf("container %s sets %s itself, which hides what the Services give", c.Name, list(names)),
				Remedy:  "nothing, if that is what is meant",
			})
		}
	}
	return findings
}

// notYet compares when containers started with when Services were made: a
// container keeps the variables of its start. Of a Service that was made anew
// since, these are the ones it had before.
func notYet(services []*corev1.Service, given []Variable, pod *corev1.Pod) []Finding {
	gives := map[types.NamespacedName]bool{}
	for _, v := range given {
		gives[v.Service] = true
	}
	var findings []Finding
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Running == nil {
			continue
		}
		started := status.State.Running.StartedAt
		var late []string
		for _, service := range services {
			name := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
			if gives[name] && service.CreationTimestamp.After(started.Time) {
				late = append(late, name.String())
			}
		}
		if len(late) > 0 {
			slices.SortFunc(late, strings.Compare)
			findings = append(findings, Finding{
				Kind: NotYet, Services: late,
				Message: fmt.Sprintf("container %s has been running since before %s %s made: it has no variables of %s", status.Name, list(late),
					either(len(late), "was", "were"), either(len(late), "it, or those of an older Service of that name", "them, or those of older Services of their names")),
				Remedy: "start the pod again, or use DNS names",
			})
		}
	}
	return findings
}

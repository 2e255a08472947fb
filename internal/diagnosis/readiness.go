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

package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// readiness is about whether one of the pods takes connections, and why not.
func (e *examination) readiness() Step {
	if !e.selects() || len(e.Selected) == 0 {
		return Step{}
	}
	var ready, left []*corev1.Pod
	var troubles []trouble
	for _, pod := range e.Selected {
		switch {
		case e.publishable(pod):
			ready = append(ready, pod)
			if !saysReady(pod) {
				troubles = append(troubles, e.troubleOf(pod))
			}
		case terminating(pod) && saysReady(pod) && !ended(pod):
			left = append(left, pod)
		default:
			troubles = append(troubles, e.troubleOf(pod))
		}
	}
	slices.SortStableFunc(troubles, func(a, b trouble) int { return cmp.Compare(a.kind, b.kind) })
	switch {
	case len(ready) > 0 && !slices.ContainsFunc(ready, saysReady) && !slices.ContainsFunc(troubles, mayRun):
		return e.noneReady(troubles) // published, and nothing in them runs
	case len(ready) > 0 && e.Service.Spec.PublishNotReadyAddresses:
		return Step{State: OK, Message: fmt.Sprintf("%s published whether ready or not", countedOf(len(ready), len(e.Selected))), Details: lines(troubles)}
	case len(ready) > 0:
		return e.someReady(ready, len(left), troubles)
	case len(left) > 0 && e.headless():
		return Step{State: Problem, Reason: OnlyTerminatingPods, Details: lines(troubles),
			Message: fmt.Sprintf("its only pods are being deleted, and DNS does not name those (%s)", enumerate(podNames(left), maxNames)) + alsoTroubled(troubles),
			Remedy:  cmp.Or(firstRemedy(troubles), "see whether other pods are made in their place")}
	case len(left) > 0:
		return Step{State: Warning, Reason: OnlyTerminatingPods, Details: lines(troubles),
			Message: fmt.Sprintf("only pods that are being deleted answer (%s)", enumerate(podNames(left), maxNames)) + alsoTroubled(troubles),
			Remedy:  cmp.Or(firstRemedy(troubles), "see whether other pods are made in their place")}
	}
	return e.butOthers(e.noneReady(troubles))
}

// mayRun tells of a pod that is not ready, and may take connections all the same.
func mayRun(t trouble) bool {
	return !slices.Contains([]troubleKind{crashing, imageMissing, notCreated, nodeUnknown}, t.kind)
}

// someReady is a Service that answers; pods that come and go are no news.
func (e *examination) someReady(ready []*corev1.Pod, left int, troubles []trouble) Step {
	lasting := slices.DeleteFunc(slices.Clone(troubles), e.passing)
	all := len(ready) + left + len(lasting)
	step := Step{State: OK, Message: fmt.Sprintf("%s ready", countedOf(len(ready), all)), Details: append(lines(troubles), restarts(ready)...)}
	if n := len(lasting); n > 0 {
		step.State, step.Reason, step.Remedy = Warning, reasonOf(lasting), lasting[0].remedy
		step.Message = fmt.Sprintf("%d of %s %s not ready: %s", n, counted(all, "pod"), either(n, "is", "are"), grouped(lasting))
	}
	return step
}

// manyRestarts are more than a pod has by chance.
const manyRestarts = 10

// restarts tells of pods that are ready, and have not been time and again.
func restarts(ready []*corev1.Pod) []string {
	var list []string
	for _, pod := range ready {
		for i := range pod.Status.ContainerStatuses {
			if status := &pod.Status.ContainerStatuses[i]; status.RestartCount >= manyRestarts {
				list = append(list, fmt.Sprintf("%s is ready, and its container %s has been restarted %d times", pod.Name, status.Name, status.RestartCount))
			}
		}
	}
	return boundedList(list, maxDetails)
}

func (e *examination) noneReady(troubles []trouble) Step {
	step := Step{State: Problem, Reason: reasonOf(troubles), Details: lines(troubles), Remedy: firstRemedy(troubles)}
	step.Message = fmt.Sprintf("none of the %d pods is ready: %s", len(troubles), grouped(troubles))
	if len(troubles) == 1 {
		step.Message = "its only pod is not ready: " + grouped(troubles)
	}
	if !slices.ContainsFunc(troubles, func(t trouble) bool { return !e.mayStillStart(t) }) {
		who, were := either(len(troubles), "it", "them"), either(len(troubles), "it was", "they were")
		step.Remedy = fmt.Sprintf("give %s a minute, made just now as %s; then %s", who, were, step.Remedy)
	}
	return step
}

// mayStillStart tells of a new pod of which nothing worse is known than that it is
// on its way.
func (e *examination) mayStillStart(t trouble) bool {
	return slices.Contains([]troubleKind{probeFailing, initializing, notReady, starting}, t.kind) && e.recent(t.pod.CreationTimestamp.Time)
}

// reasonOf is NodeUnknown if the nodes are to blame for all.
func reasonOf(troubles []trouble) Reason {
	if slices.ContainsFunc(troubles, func(t trouble) bool { return t.kind != nodeUnknown && t.kind != hasEnded }) ||
		!slices.ContainsFunc(troubles, func(t trouble) bool { return t.kind == nodeUnknown }) {
		return PodsNotReady
	}
	return NodeUnknown
}

// maxGroups is how many troubles a sentence has.
const maxGroups = 2

// grouped says what is wrong with which pods: "web-1 and web-2: container web has
// ended". The pods with the same trouble are told together.
func grouped(troubles []trouble) string {
	var order []string
	names := map[string][]string{}
	for _, t := range troubles {
		if names[t.what] == nil {
			order = append(order, t.what)
		}
		names[t.what] = append(names[t.what], t.pod.Name)
	}
	texts, told := []string{}, 0
	for _, what := range order[:min(len(order), maxGroups)] {
		texts = append(texts, enumerate(names[what], maxNames)+": "+what)
		told += len(names[what])
	}
	text := strings.Join(texts, ", and ")
	if rest := len(troubles) - told; rest > 0 {
		text += fmt.Sprintf(", and %d more", rest)
	}
	return text
}

// lines are the troubles pod by pod.
func lines(troubles []trouble) []string {
	list := make([]string, 0, min(len(troubles), maxDetails)+1)
	for i, t := range troubles {
		if i > maxDetails {
			break
		}
		line := t.pod.Name + ": " + t.what
		if t.more != "" {
			line += "; " + t.more
		}
		list = append(list, line)
	}
	if len(troubles) > maxDetails {
		list = append(list[:maxDetails-1], fmt.Sprintf("and %d more", len(troubles)-maxDetails+1))
	}
	return list
}

func alsoTroubled(troubles []trouble) string {
	if len(troubles) == 0 {
		return ""
	}
	return ", and " + grouped(troubles[:1])
}

func firstRemedy(troubles []trouble) string {
	if len(troubles) == 0 {
		return ""
	}
	return troubles[0].remedy
}

// countedOf is "2 of 3 pods are", "1 pod is".
func countedOf(n, all int) string {
	if n == all {
		return counted(n, "pod") + either(n, " is", " are")
	}
	return fmt.Sprintf("%d of %s %s", n, counted(all, "pod"), either(n, "is", "are"))
}

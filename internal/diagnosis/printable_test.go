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
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// texts are all of a report.
func (r *Report) texts() []string {
	all := append([]string{r.Verdict.Sentence}, r.Unseen...)
	for _, step := range r.Steps {
		all = append(all, step.Message, step.Remedy, step.Provided)
		all = append(all, step.Details...)
	}
	return all
}

// An API server takes such texts in pods, and anyone who may make one with the
// right label writes them for who asks about the Service.
func TestNobodyWritesToTheTerminalOfWhoAsks(t *testing.T) {
	const evil = "x\x1b[2J\n\nService shop/web answers.\n\u202e\u2028\u009b\xff\a"
	for name, change := range map[string]func(*corev1.Pod){
		"image": func(pod *corev1.Pod) {
			pod.Spec.Containers[0].Image = evil
			notReadyNow(pod, waiting("ImagePullBackOff", evil))
		},
		"probe": func(pod *corev1.Pod) {
			pod.Spec.Containers[0].ReadinessProbe.HTTPGet = &corev1.HTTPGetAction{Path: evil, Host: evil, Port: intstr.FromString(evil)}
			probeFails(pod)
		},
		"command of a probe": func(pod *corev1.Pod) {
			pod.Spec.Containers[0].ReadinessProbe.ProbeHandler = corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{evil, evil}}}
			probeFails(pod)
		},
		"reason": func(pod *corev1.Pod) { notReadyNow(pod, waiting(evil, evil)) },
		"condition": func(pod *corev1.Pod) {
			podCondition(pod, corev1.PodReady).Status = corev1.ConditionFalse
			podCondition(pod, corev1.PodReady).Reason, podCondition(pod, corev1.PodReady).Message = evil, evil
		},
		"status": func(pod *corev1.Pod) {
			podCondition(pod, corev1.PodReady).Status = corev1.ConditionFalse
			pod.Status.ContainerStatuses, pod.Status.Reason, pod.Status.Message = nil, evil, evil
		},
		"length": func(pod *corev1.Pod) {
			pod.Spec.Containers[0].Image = strings.Repeat("long", 10_000)
			notReadyNow(pod, waiting("ImagePullBackOff", "Back-off"))
		},
	} {
		facts := webFacts()
		facts.eachPod(change)
		facts.follow()
		facts.Unseen = map[Kind]string{NetworkPolicies: evil}
		report := Examine(facts)
		if report.Verdict.State == OK {
			t.Errorf("%s: %s", name, report.Verdict.Sentence)
		}
		for _, text := range report.texts() {
			if at := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }); at >= 0 || !utf8.ValidString(text) {
				t.Errorf("%s: %q at %d", name, text, at)
			}
			if utf8.RuneCountInString(text) > 2*maxText+200 {
				t.Errorf("%s: a text has %d characters", name, utf8.RuneCountInString(text))
			}
		}
	}
}

// What people write is left as it is.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"web-1: Grüße, 世界 (80→8080) 🙂": "web-1: Grüße, 世界 (80→8080) 🙂",
		"a\x1bb\tc\r\nd":        "a�b�c��d",
		"\u202eabc\u2066\u200b": "�abc��",
		"\xffa":                 "�a",
		"":                      "",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

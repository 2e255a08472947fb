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

package endstate

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// replacedPod is the history of a pod that another of its name and address takes
// the place of while no controllers run: who starts then has to tell the two apart.
func replacedPod() *history {
	h := emptyHistory(0, 0)
	h.name = "the pod that is replaced"
	labels := map[string]string{"app": "web"}
	h.do(step{verb: create, object: &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80}}},
	}})
	made := []step{
		{verb: create, object: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "p1", Labels: labels},
			Spec:       corev1.PodSpec{NodeName: "node-a", Containers: []corev1.Container{{Name: "app", Image: "none"}}},
		}},
		patch(&corev1.Pod{}, "p1", "status", replace("/status", corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.9.0.1", PodIPs: []corev1.PodIP{{IP: "10.9.0.1"}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		})),
	}
	h.steps = append(h.steps, made...)
	h.behind = append([]step{{verb: remove, object: named(&corev1.Pod{}, "p1")}}, made...)
	return h
}

// behindTheirBack plays what happens while no controllers run.
func (b *bed) behindTheirBack(s side) {
	b.Helper()
	b.each(func(ctx context.Context, number int, h *history) error {
		for _, step := range h.behind {
			if err := step.play(ctx, b.api, s.namespace(number)); err != nil {
				return err
			}
		}
		return nil
	})
}

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
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestAChangedSelectorHasPods(t *testing.T) {
	finished := pod("job")
	finished.Labels, finished.Status.Phase = map[string]string{"app": "job"}, corev1.PodSucceeded
	world := &memory{pods: []*corev1.Pod{pod("web-1"), finished}}
	none := wantVerdict{warnings: []string{"spec.selector: no pod of this namespace has these labels, so the Service has no endpoint until one does; compare them with the pods' labels (rule X12)"}}
	for name, tc := range map[string]struct {
		old, new *corev1.Service
		want     wantVerdict
	}{
		"X12: a slip of the pen":         {old: service("web", selecting("app", "web")), new: service("web", selecting("app", "wbe")), want: none},
		"X12: a pod that is over":        {old: service("web", selecting("app", "web")), new: service("web", selecting("app", "job")), want: none},
		"X12: after none":                {old: service("web"), new: service("web", selecting("app", "wbe")), want: none},
		"one with pods":                  {old: service("web", selecting("app", "wbe")), new: service("web", selecting("app", "web"))},
		"the one of before":              {old: service("web", selecting("app", "wbe")), new: service("web", selecting("app", "wbe"), port(81, corev1.ProtocolTCP))},
		"a new Service, before its pods": {new: service("web", selecting("app", "wbe"))},
		"no selector":                    {old: service("web", selecting("app", "web")), new: service("web")},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ValidateService(t.Context(), world, Severities{"X12": Deny}, ServiceChange{Old: tc.old, New: tc.new})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

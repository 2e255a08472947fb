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

package allocation

import (
	. "github.com/onsi/ginkgo/v2"
	corev1 "k8s.io/api/core/v1"
)

// absence is what happens around the webhook's own absence.
func absence(s *scene) {
	It("adopts what the server chose while the webhook was away", func(ctx SpecContext) {
		away := service("away", corev1.ServiceTypeNodePort, 0)
		s.webhookAway(ctx, func() { s.create(ctx, away) })
		s.observed(away)
		refusal(s.admin.Create(ctx, service("late", corev1.ServiceTypeNodePort, away.Spec.Ports[0].NodePort)), "held by Service team-a/away")
	})
}

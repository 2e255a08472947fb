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
	"fmt"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// What the rules themselves cost for an ordinary Service, in a world whose
// look-ups cost nothing; TestLookUpsGrowWithTheAddresses counts those.
func BenchmarkValidateService(b *testing.B) {
	world := &memory{cidrs: []ServiceCIDR{{"kubernetes", netip.MustParsePrefix("10.96.0.0/12")}}}
	for i := range 10 {
		world.pods = append(world.pods, pod(fmt.Sprintf("web-%d", i), named("http", corev1.ProtocolTCP)))
	}
	change := ServiceChange{New: service("web", selecting("app", "web"), target("http", corev1.ProtocolTCP), external("203.0.113.7"))}
	for b.Loop() {
		if _, err := ValidateService(b.Context(), world, nil, change); err != nil {
			b.Fatal(err)
		}
	}
}

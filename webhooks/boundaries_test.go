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
	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

func TestAPoolMaySelectServices(t *testing.T) {
	pool := addrPool("edge", v1alpha1.UseExternalIP, "203.0.113.32", "203.0.113.47", "blue")
	pool.Services = labels.SelectorFromSet(labels.Set{"tier": "edge"})
	world := &memory{namespaces: map[string]labels.Set{"default": {"team": "blue"}}, pools: NewPools(nil, []allocator.AddrPool{pool})}
	for name, tc := range map[string]struct {
		labels map[string]string
		want   wantVerdict
	}{
		"X5: a Service that it does not select": {map[string]string{"tier": "db"},
			wantVerdict{errors: []string{"this belongs to AddressPool edge, which is not for this Service; no AddressPool is for it"}}},
		"one that it selects": {map[string]string{"tier": "edge"}, wantVerdict{}},
	} {
		t.Run(name, func(t *testing.T) {
			web := service("web", external("203.0.113.40"))
			web.Labels = tc.labels
			got, err := ValidateService(t.Context(), world, nil, ServiceChange{New: web})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, tc.want)
		})
	}
}

func TestKubeletsAndControlPlanesListenAtTCPAlone(t *testing.T) {
	world := &memory{nodes: []*corev1.Node{node("node-1", "192.0.2.1")}}
	for _, number := range []int32{2379, 10250} {
		for protocol, want := range map[corev1.Protocol]wantVerdict{corev1.ProtocolUDP: {}, corev1.ProtocolTCP: {errors: []string{"rule X6"}}} {
			got, err := ValidateService(t.Context(), world, nil, ServiceChange{New: service("web", onNodePort(number, protocol))})
			if err != nil {
				t.Fatal(err)
			}
			expectVerdict(t, got, want)
		}
	}
}

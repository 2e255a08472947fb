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

package why

import (
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

func TestWhoAnswersForTheLoadBalancer(t *testing.T) {
	record := &coordinationv1.Lease{ObjectMeta: objectMeta(system, "speaker-n1", "switchyard.dev/announcer", "l2")}
	claim := func(holder string) *coordinationv1.Lease {
		return &coordinationv1.Lease{ObjectMeta: objectMeta(system, "lb-198.51.100.7"), Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder}}
	}
	young := claim("")
	young.CreationTimestamp = metav1.NewTime(time.Now())
	for name, tc := range map[string]struct {
		leases []client.Object
		want   diagnosis.Reason
		says   string
	}{
		"a node does":             {leases: []client.Object{record, claim("n1")}, says: "announced by node n1"},
		"no node does":            {leases: []client.Object{record, claim("")}, want: diagnosis.AddressNotAnnounced},
		"no node does yet":        {leases: []client.Object{record, young}},
		"nodes announce nothing":  {leases: []client.Object{claim("")}},
		"another's load balancer": {leases: []client.Object{record}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := append(append(web(), kubeProxy("n1"), kubeProxy("n2")), tc.leases...)
			service := objects[0].(*corev1.Service)
			service.Spec.Type, service.Spec.AllocateLoadBalancerNodePorts = corev1.ServiceTypeLoadBalancer, new(false)
			service.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "198.51.100.7", IPMode: new(corev1.LoadBalancerIPModeVIP)}}
			answer := ask(t, asker(t, &access{}, objects...), shopWeb)
			if tc.want == "" {
				answer.says(t, diagnosis.OK, "")
			} else {
				answer.says(t, diagnosis.Warning, tc.want, "no node answers for 198.51.100.7")
			}
			if step, _ := answer.Step(diagnosis.CheckAddresses); !strings.Contains(strings.Join(step.Details, "\n"), tc.says) {
				t.Errorf("addresses: %q, want %q in it", step.Details, tc.says)
			}
		})
	}
}

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

package differential

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/kubelet/envvars"

	"switchyard.dev/switchyard/internal/serviceenv"
)

// TestEnvironmentIsTheKubelets compares every variable of generated Services, in
// order, with those of the kubelet's own code.
func TestEnvironmentIsTheKubelets(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	variables := 0
	for range 20_000 {
		services := make([]*corev1.Service, r.IntN(4))
		for i := range services {
			services[i] = serviceWithEnvironment(r, i)
		}
		slices.SortFunc(services, func(a, b *corev1.Service) int { return strings.Compare(a.Name, b.Name) })
		var got []corev1.EnvVar
		for _, v := range serviceenv.For(services, "team-a", true) {
			got = append(got, corev1.EnvVar{Name: v.Name, Value: v.Value})
		}
		want := envvars.FromServices(services)
		if !slices.Equal(got, want) {
			t.Fatalf("Services %+v:\n got %v\nwant %v", services, got, want)
		}
		variables += len(want)
	}
	t.Logf("%d variables compared", variables)
	if variables < 100_000 {
		t.Errorf("only %d variables were compared", variables)
	}
}

// serviceWithEnvironment has a name that sorts by i, and up to four ports.
func serviceWithEnvironment(r *rand.Rand, i int) *corev1.Service {
	pick := func(values ...string) string { return values[r.IntN(len(values))] }
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: fmt.Sprintf("%s-%d%s", string(rune('a'+i)), i, pick("", "-x", "-service"))},
		Spec:       corev1.ServiceSpec{ClusterIP: pick("10.0.0.9", "fd00:10::9", "", corev1.ClusterIPNone, "10.1.2.3")},
	}
	if r.IntN(4) == 0 {
		service.Name = fmt.Sprintf("%d", i) + service.Name
	}
	for range 1 + r.IntN(4) {
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{
			Name:     pick("", "http", "dns-udp", "9p"),
			Protocol: corev1.Protocol(pick("", "TCP", "UDP", "SCTP")),
			Port:     1 + r.Int32N(65535),
		})
	}
	if service.Spec.ClusterIP == "" {
		service.Spec.Type = corev1.ServiceTypeExternalName
	}
	return service
}

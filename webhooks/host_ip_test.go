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

func TestAHostPortAtTheLoopbackIsInNobodysWay(t *testing.T) {
	at := func(ip string) corev1.ContainerPort { return corev1.ContainerPort{HostPort: 30080, HostIP: ip} }
	for ip, want := range map[string]int{"": 1, "0.0.0.0": 1, "192.0.2.1": 1, "127.0.0.1": 0, "::1": 0} {
		if got := len(hostPorts(hostPod("proxy", at(ip)))); got != want {
			t.Errorf("at %q: %d ports are taken, want %d", ip, got, want)
		}
	}
}

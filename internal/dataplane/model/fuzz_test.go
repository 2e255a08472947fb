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

package model

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Objects that got past admission in whatever way never stop the agent, and
// what is taken from them is always fit to be programmed.
func FuzzObjects(f *testing.F) {
	for _, svc := range []*corev1.Service{makeService("web"), makeService("web", clusterIPs("10.96.0.1", "fd00::1"), externalIPs("192.0.2.1"),
		ingress(corev1.LoadBalancerIngress{IP: "192.0.2.2"}), ports(corev1.ServicePort{Name: "a", Port: 80, NodePort: 30080, Protocol: "UDP"}))} {
		service, _ := json.Marshal(svc)
		eps, _ := json.Marshal(makeSlice("web", "web-1", endpoint("10.0.0.1", "ready"), endpoint("fd00::2", "")))
		f.Add(service, eps)
	}
	f.Fuzz(func(t *testing.T, service, endpoints []byte) {
		var svc corev1.Service
		var eps discoveryv1.EndpointSlice
		if json.Unmarshal(service, &svc) != nil || json.Unmarshal(endpoints, &eps) != nil {
			return // not an object at all
		}
		s := NewStore(Options{})
		s.SetService(&svc)
		s.SetSlice(&eps)
		for _, name := range s.Names() {
			checkFit(t, s, name)
		}
		s.TakeProblems()
		s.DeleteService(svc.Namespace, svc.Name)
		s.DeleteSlice(eps.Namespace, eps.Name)
		if left := s.Names(); len(left) != 0 {
			t.Errorf("left after everything was deleted: %v", left)
		}
	})
}

func checkFit(t *testing.T, s *Store, name ServicePortName) {
	t.Helper()
	port, ok := s.ServicePort(name)
	if !ok || port.Port == 0 {
		t.Errorf("%s can not be programmed: %+v", name, port)
	}
	for _, family := range []Family{IPv4, IPv6} {
		for _, vip := range externalVIPs(port, family) {
			if special(vip) != "" || FamilyOf(vip) != family {
				t.Errorf("%s has the %s VIP %s", name, family, vip)
			}
		}
		for _, e := range s.Endpoints(name, family) {
			if FamilyOf(e.Addr.Addr()) != family || e.Addr.Port() == 0 || special(e.Addr.Addr()) != "" {
				t.Errorf("%s has the %s endpoint %s", name, family, e.Addr)
			}
		}
	}
}

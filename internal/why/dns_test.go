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

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// dnsService is one of the cluster's DNS with an endpoint in that state.
func dnsService(name string, conditions discoveryv1.EndpointConditions) []client.Object {
	return []client.Object{
		&corev1.Service{ObjectMeta: objectMeta("kube-system", name, "k8s-app", "kube-dns")},
		&discoveryv1.EndpointSlice{ObjectMeta: objectMeta("kube-system", name+"-1", discoveryv1.LabelServiceName, name), AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.53"}, Conditions: conditions}}},
	}
}

func TestTheClustersDNSServer(t *testing.T) {
	yes, no := discoveryv1.EndpointConditions{Ready: new(true)}, discoveryv1.EndpointConditions{Ready: new(false), Serving: new(false)}
	leaving := discoveryv1.EndpointConditions{Ready: new(false), Serving: new(true), Terminating: new(true)}
	for name, tc := range map[string]struct {
		objects []client.Object
		down    string
	}{
		"none of that label":       {nil, ""},
		"it answers":               {dnsService("kube-dns", yes), ""},
		"its last endpoint leaves": {dnsService("kube-dns", leaving), ""},
		"it is down":               {dnsService("kube-dns", no), "kube-system/kube-dns"},
		"it has another name":      {dnsService("coredns", no), "kube-system/coredns"},
		"it has no endpoints":      {dnsService("kube-dns", no)[:1], ""},
		"one of two answers":       {append(dnsService("kube-dns", no), dnsService("dns-upstream", yes)...), ""},
		"none of two answers":      {append(dnsService("kube-dns", no), dnsService("dns-upstream", no)...), "kube-system/kube-dns"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := ask(t, asker(t, &access{}, append(append(web(), kubeProxy("n1"), kubeProxy("n2")), tc.objects...)...), shopWeb)
			if tc.down == "" {
				answer.says(t, diagnosis.OK, "")
			} else {
				answer.says(t, diagnosis.Warning, diagnosis.DNSNotReady, "no endpoint of "+tc.down)
			}
		})
	}
}

func TestADNSServerThatMayNotBeSeen(t *testing.T) {
	for _, kind := range []string{"ServiceList", "EndpointSliceList"} {
		rules := &access{list: func(list client.ObjectList, o client.ListOptions) error {
			if kindOf(list) == kind && o.Namespace == "kube-system" {
				return forbidden("things")
			}
			return nil
		}}
		answer := ask(t, asker(t, rules, append(append(web(), kubeProxy("n1"), kubeProxy("n2")), dnsService("kube-dns", discoveryv1.EndpointConditions{Ready: new(false)})...)...), shopWeb)
		answer.says(t, diagnosis.OK, "")
		if want := "the cluster's DNS server (you may not look at namespace kube-system): whether it runs was not checked"; strings.Join(answer.Unseen, "\n") != want {
			t.Errorf("%s: not seen %q, want %s", kind, answer.Unseen, want)
		}
	}
}

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

package diagnosis

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestDNS(t *testing.T) {
	server := func(ready int) func(*Facts) {
		return func(f *Facts) {
			f.Zone, f.DNSServer = DefaultZone, &DNSServer{Service: types.NamespacedName{Namespace: "kube-system", Name: "kube-dns"}, Endpoints: 2, Ready: ready}
		}
	}
	from := func(client *Client) func(*Facts) {
		return func(f *Facts) { server(0)(f); f.Client = client }
	}
	podOf := func(policy corev1.DNSPolicy, host bool) *Client {
		pod := clientPod("shop")
		pod.Spec.DNSPolicy, pod.Spec.HostNetwork = policy, host
		return &Client{Pod: pod}
	}
	nobody := func(change func(*Facts)) outcome {
		return outcome{state: Warning, check: CheckDNS, want: DNSNotReady, change: change,
			says: []string{"answers, but no endpoint of kube-system/kube-dns, the cluster's DNS server, is ready to say what its name is; see `switchyard why kube-system/kube-dns`."}}
	}
	asksNobody := func(change func(*Facts)) outcome {
		return outcome{state: OK, check: CheckDNS, message: "its name web.shop.svc.cluster.local is 10.0.0.10", change: change}
	}
	examined(t, map[string]outcome{
		"nobody asked": {state: OK, check: CheckDNS, message: "its name web.shop.svc.corp.example is 10.0.0.10; no DNS server was asked for it", change: func(f *Facts) { f.Zone = "corp.example" }},
		"a server":     asksNobody(server(1)),
		"no server":    nobody(server(0)),
		"no server, and without a zone": nobody(func(f *Facts) {
			server(0)(f)
			f.Zone = ""
		}),
		"no endpoints, as where nodes answer themselves": {state: OK, check: CheckDNS, details: []string{"Service kube-system/kube-dns has no endpoints: names are answered if something else does"},
			change: func(f *Facts) { server(0)(f); f.DNSServer.Endpoints = 0 }},
		"no server for a pod":                 nobody(from(podOf(corev1.DNSClusterFirst, false))),
		"no server for a pod on the host":     nobody(from(podOf(corev1.DNSClusterFirstWithHostNet, true))),
		"a pod on the host asks the node's":   asksNobody(from(podOf(corev1.DNSClusterFirst, true))),
		"a pod asks the node's":               asksNobody(from(podOf(corev1.DNSDefault, false))),
		"a pod has a server of its own":       asksNobody(from(podOf(corev1.DNSNone, false))),
		"a node asks its own":                 asksNobody(from(nodeClient("n1"))),
		"the server is what was asked about":  {state: OK, change: func(f *Facts) { server(0)(f); f.DNSServer.Service = f.Name }},
		"no endpoints matter more than names": {state: Problem, check: CheckReadiness, want: PodsNotReady, change: func(f *Facts) { server(0)(f); f.eachPod(probeFails) }},
	})
}

// The name is in the chain whoever was asked, and with a problem beside it.
func TestNamesOfAService(t *testing.T) {
	const name = "web.shop.svc.cluster.local"
	for text, tc := range map[string]struct {
		change  func(*Facts)
		says    string
		details []string
	}{
		"a ClusterIP": {func(*Facts) {}, "its name " + name + " is 10.0.0.10; no DNS server was asked for it",
			[]string{"_http._tcp." + name + " is port 80 of " + name}},
		"a headless Service": {headlessly, "its name " + name + " is 10.1.0.1, 10.1.0.2 and 10.1.0.3; no DNS server was asked for it",
			[]string{"web-0." + name + " is 10.1.0.1", "10-1-0-2." + name + " is 10.1.0.2", "_http._tcp." + name + " is port 8080 of web-0." + name}},
		"one without a ready endpoint": {func(f *Facts) { headlessly(f); f.eachPod(probeFails); f.follow() }, "its name is " + name + ", and has no address while no endpoint is ready", nil},
		"one whose endpoints were not seen": {func(f *Facts) {
			headlessly(f)
			f.Slices, f.Unseen = nil, map[Kind]string{EndpointSlices: "forbidden"}
		}, "its name is " + name + ", and that of its endpoints, which could not be seen", nil},
		"an ExternalName":                {func(f *Facts) { externalName(f, "db.example.org") }, "its name " + name + " is db.example.org; no DNS server was asked for it", nil},
		"a Service that does not answer": {func(f *Facts) { f.eachPod(probeFails); f.follow() }, "its name " + name + " is 10.0.0.10; no DNS server was asked for it", nil},
	} {
		f := webFacts()
		f.Zone = DefaultZone
		f.follow()
		tc.change(f)
		step, made := Examine(f).Step(CheckDNS)
		if !made || step.State != OK || step.Message != tc.says {
			t.Errorf("%s: %+v, want %s", text, step, tc.says)
		}
		for _, detail := range tc.details {
			if !slices.Contains(step.Details, detail) {
				t.Errorf("%s: %q, want %s", text, step.Details, detail)
			}
		}
	}
	if step, made := Examine(webFacts()).Step(CheckDNS); made {
		t.Errorf("without a zone: %+v", step)
	}
}

// headlessly makes it a Service of the addresses of its pods, of which the first has
// a name.
func headlessly(f *Facts) {
	f.Service.Spec.ClusterIP, f.Service.Spec.ClusterIPs = "None", []string{"None"}
	f.Slices[0].Endpoints[0].Hostname = new("web-0")
}

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

package explain

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// The cluster of these tests: one Service of each kind.
func everyKind() World {
	balanced := func(svc *corev1.Service) {
		svc.Spec.Ports[0].NodePort = 30081
		svc.Spec.ExternalIPs = []string{"198.51.100.1"}
		svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
		svc.Spec.LoadBalancerSourceRanges = []string{"203.0.113.0/24", "10.244.0.0/16"}
	}
	return testWorld([]*corev1.Service{
		web("web", "10.96.0.10", nil), web("balanced", "10.96.0.11", balanced),
		web("local", "10.96.0.12", func(svc *corev1.Service) { localPolicies(svc); svc.Spec.Ports[0].NodePort = 30082 }),
		web("away", "10.96.0.13", func(svc *corev1.Service) { localPolicies(svc); svc.Spec.Ports[0].NodePort = 30083 }),
		web("nobody", "10.96.0.14", func(svc *corev1.Service) { svc.Spec.Ports[0].NodePort = 30084 }),
		web("hinted", "10.96.0.15", func(svc *corev1.Service) { svc.Spec.Ports[0].NodePort = 30085 }),
	}, []*discoveryv1.EndpointSlice{
		at("web", "10.244.1.5 here ready", "10.244.2.5 there ready", "10.244.2.6 there", "10.244.2.7 there leaving"),
		at("balanced", "10.244.2.5 there ready"), at("local", "10.244.1.5 here ready", "10.244.2.5 there ready"),
		at("away", "10.244.2.5 there ready"), at("nobody", "10.244.2.6 there"),
		at("hinted", "10.244.2.5 there ready zone:b", "10.244.2.6 there ready zone:a"),
	})
}

func TestWhatBecomesOfAConnection(t *testing.T) {
	const pod, foreign, outside, node = "10.244.1.9", "10.244.2.9", "203.0.113.9", "node:172.30.0.1"
	for name, tc := range map[string]struct {
		from, to string
		want     string
		says     []string
	}{
		"pod to ClusterIP": {pod, "10.96.0.10:80", "10.244.1.5:8080, 10.244.2.5:8080",
			[]string{"10.96.0.10:80 is the ClusterIP of Service default/web/TCP", "internalTrafficPolicy is Cluster", "one of 2 is chosen at random", "no, the endpoint sees"}},
		"a stranger to ClusterIP": {outside, "10.96.0.10:80", "10.244.1.5:8080 (masqueraded), 10.244.2.5:8080 (masqueraded)", []string{"no pod of this node"}},
		"node to ClusterIP":       {node, "10.96.0.10:80", "10.244.1.5:8080 (masqueraded), 10.244.2.5:8080 (masqueraded)", []string{"need not be one that the endpoint can answer"}},
		"an endpoint to itself":   {"10.244.1.5", "10.96.0.10:80", "10.244.1.5:8080 (masqueraded), 10.244.2.5:8080", []string{"may be given to itself"}},
		"outside to NodePort":     {outside, "172.30.0.1:30080", "10.244.1.5:8080 (masqueraded), 10.244.2.5:8080 (masqueraded)", []string{"is the NodePort of Service default/web/TCP"}},
		"another port of the ClusterIP": {pod, "10.96.0.10:81", "refused",
			[]string{"10.96.0.10 is the ClusterIP of Service default/web, but no TCP port 81 is defined there; it has TCP 80"}},
		"an unallocated ClusterIP":       {pod, "10.96.9.9:80", "dropped", []string{"no Service that this node knows has it"}},
		"no address of a Service":        {pod, "10.1.1.1:80", "passed on", []string{"no Service has the address 10.1.1.1"}},
		"a port of the node":             {outside, "172.30.0.1:22", "passed on", []string{"no Service has TCP NodePort 22"}},
		"another port of an external IP": {outside, "198.51.100.1:81", "passed on", []string{"but no TCP port 81", "left to whoever has the address"}},
		"no endpoints":                   {pod, "10.96.0.14:80", "refused", []string{"no endpoint of the Service takes connections"}},
		"load balancer, source allowed":  {outside, "192.0.2.1:80", "10.244.2.5:8080 (masqueraded)", []string{"203.0.113.9 is in 203.0.113.0/24"}},
		"load balancer, source not allowed": {"8.8.8.8", "192.0.2.1:80", "dropped",
			[]string{"8.8.8.8 is in none of loadBalancerSourceRanges (10.244.0.0/16, 203.0.113.0/24)"}},
		"external IP, source not allowed there": {"8.8.8.8", "198.51.100.1:80", "10.244.2.5:8080 (masqueraded)", []string{"do not hold for external IPs"}},
		"Local, outside":                        {outside, "172.30.0.1:30082", "10.244.1.5:8080", []string{"externalTrafficPolicy is Local: only", "keeps the client's address"}},
		"Local, a pod of this node":             {pod, "172.30.0.1:30082", "10.244.1.5:8080, 10.244.2.5:8080", []string{"but the client is a pod of this node"}},
		"Local, the node itself":                {node, "172.30.0.1:30082", "10.244.1.5:8080 (masqueraded), 10.244.2.5:8080 (masqueraded)", []string{"but the client is this node itself"}},
		"internal Local":                        {pod, "10.96.0.12:80", "10.244.1.5:8080", []string{"internalTrafficPolicy is Local"}},
		"Local, all elsewhere":                  {outside, "172.30.0.1:30083", "dropped", []string{"none is on this node, others are elsewhere"}},
		"internal, elsewhere":                   {pod, "10.96.0.13:80", "dropped", []string{"none is on this node, others are elsewhere"}},
		"hints":                                 {foreign, "10.96.0.15:80", "10.244.2.6:8080 (masqueraded)", []string{"some are for zone a: only those"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := New(everyKind()).Explain(ask(tc.from, tc.to))
			if got.Outcome.String() != tc.want {
				t.Errorf("the outcome is %s, want %s", got.Outcome, tc.want)
			}
			if got.Doubt != "" {
				t.Error(got.Doubt)
			}
			for _, words := range tc.says {
				if !strings.Contains(got.Text(), words) {
					t.Errorf("nothing says %q in\n%s", words, got.Text())
				}
			}
		})
	}
}

func TestEveryEndpointHasAReason(t *testing.T) {
	got := New(everyKind()).Explain(ask("10.244.1.9", "10.96.0.10:80"))
	want := []Endpoint{
		{Address: "10.244.1.5:8080", Pod: "web-0", Node: "here", Chosen: true, Why: "is chosen"},
		{Address: "10.244.2.5:8080", Pod: "web-1", Node: "there", Chosen: true, Why: "is chosen"},
		{Address: "10.244.2.6:8080", Pod: "web-2", Node: "there", Why: "is not ready"},
		{Address: "10.244.2.7:8080", Pod: "web-3", Node: "there", Why: "terminates while others are ready"},
	}
	if diff := cmp.Diff(want, got.Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	wantText := `from 10.244.1.9 to TCP 10.96.0.10:80, on node here

destination  10.96.0.10:80 is the ClusterIP of Service default/web/TCP
scope        internalTrafficPolicy is Cluster: endpoints of all nodes
scheduler    one of 2 is chosen at random
masquerade   no, the endpoint sees the client's address
outcome      10.244.1.5:8080, 10.244.2.5:8080

ENDPOINT         POD    NODE   ZONE  WEIGHT  WHY
10.244.1.5:8080  web-0  here   -     -       is chosen
10.244.2.5:8080  web-1  there  -     -       is chosen
10.244.2.6:8080  web-2  there  -     -       is not ready
10.244.2.7:8080  web-3  there  -     -       terminates while others are ready
`
	if diff := cmp.Diff(wantText, got.Text()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	var again Result
	encoded, err := json.Marshal(got)
	if err == nil {
		err = json.Unmarshal(encoded, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, again, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("through JSON (-want +got):\n%s", diff)
	}
}

func TestPodsAreToldByTheirInterface(t *testing.T) {
	w := everyKind()
	for name, tc := range map[string]struct{ pattern, iface, want string }{
		"a pod of this node":     {"veth*", "veth7", "10.244.1.5:8080, 10.244.2.5:8080"},
		"a stranger":             {"veth*", "eth0", "10.244.1.5:8080"},
		"a pod behind a bridge":  {"cni0", "cni0", "10.244.1.5:8080, 10.244.2.5:8080"},
		"behind another of them": {"cni0", "cni01", "10.244.1.5:8080"},
	} {
		w.Features.LocalInterface = tc.pattern
		q := ask("10.244.1.9", "172.30.0.1:30082") // traffic policy Local
		q.Interface = tc.iface
		got := New(w).Explain(q)
		if got.Outcome.String() != tc.want || got.Doubt != "" {
			t.Errorf("%s:\n%s", name, got.Text())
		}
	}
}

func TestNothingIsSaidOfEndpointsThatDoNotAnswer(t *testing.T) {
	got := New(everyKind()).Explain(ask("10.244.1.9", "10.96.0.14:80"))
	if text := got.Text(); strings.Contains(text, "still answer") {
		t.Errorf("no endpoint terminates:\n%s", text)
	}
	w := testWorld([]*corev1.Service{web("web", "10.96.0.10", nil)}, []*discoveryv1.EndpointSlice{at("web", "10.244.2.5 there leaving")})
	got = New(w).Explain(ask("10.244.1.9", "10.96.0.10:80"))
	if text := got.Text(); !strings.Contains(text, "still answer while they terminate") || got.Endpoints[0].Why != "is chosen, it terminates but still answers" {
		t.Errorf("the only endpoint terminates:\n%s", text)
	}
}

func TestALongOutcomeIsCut(t *testing.T) {
	var texts []string
	for i := range 6 {
		texts = append(texts, fmt.Sprintf("10.244.2.%d there ready", i+1))
	}
	w := testWorld([]*corev1.Service{web("web", "10.96.0.10", nil)}, []*discoveryv1.EndpointSlice{at("web", texts...)})
	got := New(w).Explain(ask("10.244.1.9", "10.96.0.10:80")).Outcome.String()
	if want := "10.244.2.5:8080 and 1 more"; !strings.HasSuffix(got, want) {
		t.Errorf("%q does not end in %q", got, want)
	}
}

// An address may be the ClusterIP of one Service and an external IP of another,
// at another port.
func TestAtOtherPortsTheClusterIPSpeaks(t *testing.T) {
	other := func(svc *corev1.Service) {
		svc.Spec.Ports[0].Port, svc.Spec.Ports[0].NodePort, svc.Spec.ExternalIPs = 81, 30081, []string{"10.96.0.10", "10.96.7.7"}
	}
	w := testWorld([]*corev1.Service{web("a", "10.96.0.9", other), web("b", "10.96.0.10", nil)}, nil)
	for to, tc := range map[string]struct {
		end  End
		says string
	}{
		"10.96.0.10:82": {Refused, "10.96.0.10 is the ClusterIP of Service default/b, but no TCP port 82 is defined there; it has TCP 80"},
		"10.96.7.7:82":  {Dropped, "10.96.7.7 is the external IP of Service default/a, but no TCP port 82 is defined there; it has TCP 81"},
	} {
		got := New(w).Explain(ask("10.244.1.9", to))
		if got.Outcome.End != tc.end || got.Steps[0].Says != tc.says || got.Doubt != "" {
			t.Errorf("%s:\n%s", to, got.Text())
		}
	}
}

func TestOtherPortsOfAnAddressFromAPool(t *testing.T) {
	shared := func(change func(*corev1.Service)) func(*corev1.Service) {
		return func(svc *corev1.Service) {
			svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
			change(svc)
		}
	}
	another := func(svc *corev1.Service) {
		fromPool(svc)
		svc.Spec.Ports[0].Port, svc.Spec.Ports[0].NodePort = 443, 30443
	}
	const what = "192.0.2.1 is the load balancer IP of Service default/a, but no TCP port 81 is defined there; it has "
	for name, tc := range map[string]struct {
		services []*corev1.Service
		announce bool
		on       string
		want     string
		says     []string
	}{
		"are refused":                   {[]*corev1.Service{web("a", "10.96.0.10", shared(fromPool))}, true, "", "refused", []string{what + "TCP 80", "from an AddressPool and announced"}},
		"of an address that two share":  {[]*corev1.Service{web("a", "10.96.0.10", shared(fromPool)), web("b", "10.96.0.11", shared(another))}, true, "", "refused", []string{what + "TCP 443, TCP 80"}},
		"of which one has it elsewhere": {[]*corev1.Service{web("a", "10.96.0.10", shared(func(*corev1.Service) {})), web("b", "10.96.0.11", shared(another))}, true, "", "refused", nil},
		"where it is not announced":     {[]*corev1.Service{web("a", "10.96.0.10", shared(fromPool))}, false, "", "passed on", []string{"left to whoever has the address"}},
		"that a cloud has given":        {[]*corev1.Service{web("a", "10.96.0.10", shared(func(*corev1.Service) {}))}, true, "", "passed on", []string{"left to whoever has the address"}},
		"that the node has itself":      {[]*corev1.Service{web("a", "10.96.0.10", shared(fromPool))}, true, "192.0.2.1", "passed on", []string{"left to whoever has the address"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := testWorld(tc.services, nil)
			w.Features.RefusePooled = tc.announce
			if tc.on != "" {
				w.Node.NodePortAddrs = append(w.Node.NodePortAddrs, netip.MustParseAddr(tc.on))
			}
			for _, from := range []string{"203.0.113.9", "10.244.1.9", "node:172.30.0.1"} {
				got := New(w).Explain(ask(from, "192.0.2.1:81"))
				if got.Outcome.String() != tc.want || got.Doubt != "" {
					t.Errorf("from %s:\n%s", from, got.Text())
				}
				for _, words := range tc.says {
					if !strings.Contains(got.Text(), words) {
						t.Errorf("nothing says %q in\n%s", words, got.Text())
					}
				}
			}
		})
	}
}

func TestReasonsAndRulesThatDoNotAgreeAreNoticed(t *testing.T) {
	x := New(everyKind())
	for i := range x.decisions {
		x.decisions[i].Cluster = nil
	}
	got := x.Explain(ask("10.244.1.9", "10.96.0.10:80"))
	if !strings.Contains(got.Text(), "This is a bug, please report it: the reasons above lead to refused, the rules to 10.244.1.5:8080, 10.244.2.5:8080") {
		t.Errorf("no doubt:\n%s", got.Text())
	}
}

// Of every ServicePort and every kind of client, the words and the rules end
// in the same outcome.
func TestReasonsAndRulesAgree(t *testing.T) {
	ends := map[End]int{}
	for seed := range uint64(150) {
		w, questions := randomQuestions(seed)
		explainer := New(w)
		for _, q := range questions {
			got := explainer.Explain(q)
			ends[got.Outcome.End]++
			if got.Doubt != "" {
				t.Fatalf("seed %d, %+v:\n%s", seed, w.Node, got.Text())
			}
			checkReasons(t, got)
		}
	}
	for _, end := range []End{ToEndpoints, Refused, Dropped, PassedOn} {
		if ends[end] < 20 {
			t.Errorf("%d questions ended in %s: the worlds are too much alike", ends[end], end)
		}
	}
}

// checkReasons wants exactly the chosen endpoints as targets.
func checkReasons(t *testing.T, r Result) {
	t.Helper()
	if r.Outcome.End != ToEndpoints {
		return
	}
	var chosen, targets []string
	for _, e := range r.Endpoints {
		if e.Chosen {
			chosen = append(chosen, e.Address)
		}
	}
	for _, target := range r.Outcome.Targets {
		targets = append(targets, target.Address.String())
	}
	if len(targets) == 1 && slices.Contains(chosen, targets[0]) {
		return // the client's address has chosen
	}
	if slices.Sort(chosen); !slices.Equal(chosen, slices.Sorted(slices.Values(targets))) {
		t.Errorf("chosen %v, targets %v", chosen, targets)
	}
}

func TestAQuestionOfAnotherProtocolNamesWhatThereIs(t *testing.T) {
	q := ask("10.244.1.9", "10.96.0.10:80")
	q.Protocol = model.UDP
	got := New(everyKind()).Explain(q)
	want := "10.96.0.10 is the ClusterIP of Service default/web, but no UDP port 80 is defined there; it has TCP 80"
	if len(got.Steps) == 0 || got.Steps[0].Says != want {
		t.Errorf("steps are %s", fmt.Sprint(got.Steps))
	}
}

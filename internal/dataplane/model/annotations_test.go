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
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func annotations(pairs ...string) serviceOption {
	return func(svc *corev1.Service) {
		svc.Annotations = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			svc.Annotations[pairs[i]] = pairs[i+1]
		}
	}
}

func sticky(svc *corev1.Service) { svc.Spec.SessionAffinity = corev1.ServiceAffinityClientIP }

func TestAnnotationsAskForASchedule(t *testing.T) {
	const in = "Service default/web: metadata.annotations[switchyard.dev/"
	for name, tc := range map[string]struct {
		options      []serviceOption
		want         Traffic
		wantProblems []string
	}{
		"nothing": {},
		"maglev":  {options: []serviceOption{annotations(AnnotationScheduler, "maglev")}, want: Traffic{Scheduler: Maglev}},
		"spelled out defaults": {
			options: []serviceOption{sticky, annotations(AnnotationScheduler, "random", AnnotationAffinityScope, "Port")},
			want:    Traffic{Affinity: defaultAffinity},
		},
		"one endpoint behind all ports": {
			options: []serviceOption{sticky, annotations(AnnotationAffinityScope, "Service")},
			want:    Traffic{Affinity: defaultAffinity, AffinityScope: PerService},
		},
		"a scope of no affinity": {
			options:      []serviceOption{annotations(AnnotationAffinityScope, "Service")},
			want:         Traffic{AffinityScope: PerService},
			wantProblems: []string{in + "affinity-scope]: it means nothing without session affinity; set spec.sessionAffinity to ClientIP"},
		},
		"words that mean nothing": {
			options: []serviceOption{sticky, annotations(AnnotationScheduler, "rr", AnnotationAffinityScope, strings.Repeat("x", 1000))},
			want:    Traffic{Affinity: defaultAffinity},
			wantProblems: []string{
				in + `affinity-scope]: "` + strings.Repeat("x", 64) + `..." is none of its values; choose Port or Service`,
				in + `scheduler]: "rr" is none of its values; choose random, maglev or weighted`,
			},
		},
		"weights of pods and addresses": {
			options: []serviceOption{annotations(AnnotationScheduler, "weighted", AnnotationWeights, " web-0 = 3,::ffff:10.0.0.7=65535, fd00::1=2,")},
			want: Traffic{Scheduler: Weighted, Weights: &Weights{
				ByAddr: map[netip.Addr]uint16{netip.MustParseAddr("10.0.0.7"): 65535, netip.MustParseAddr("fd00::1"): 2},
				ByPod:  map[string]uint16{"web-0": 3},
			}},
		},
		"weights that are none leave the others": {
			options: []serviceOption{annotations(AnnotationScheduler, "weighted", AnnotationWeights, "a=0, b=65536, c, =4, d=1.5, e=7")},
			want:    Traffic{Scheduler: Weighted, Weights: &Weights{ByAddr: map[netip.Addr]uint16{}, ByPod: map[string]uint16{"e": 7}}},
			wantProblems: []string{
				in + `weights]: "=4" has no weight; write "pod or address=weight", as in "web-0=3, 10.0.0.7=5"`,
				in + `weights]: "a=0": a weight is a whole number, 1-65535; write "pod or address=weight", as in "web-0=3, 10.0.0.7=5"`,
				in + `weights]: "b=65536": a weight is a whole number, 1-65535; write "pod or address=weight", as in "web-0=3, 10.0.0.7=5"`,
				in + `weights]: "c" has no weight; write "pod or address=weight", as in "web-0=3, 10.0.0.7=5"`,
				in + `weights]: "d=1.5": a weight is a whole number, 1-65535; write "pod or address=weight", as in "web-0=3, 10.0.0.7=5"`,
			},
		},
		"weights without their scheduler": {
			options:      []serviceOption{annotations(AnnotationWeights, "a=2")},
			wantProblems: []string{in + "weights]: weights mean nothing to another scheduler; set switchyard.dev/scheduler to weighted"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := storeOf([]*corev1.Service{makeService("web", tc.options...)}, nil)
			port, _ := s.ServicePort(s.Names()[0])
			if diff := cmp.Diff(tc.want, port.Traffic, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("traffic (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantProblems, describeProblems(s)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAnnotationOfManyWeightsIsCut(t *testing.T) {
	var text strings.Builder
	for i := range maxWeights + 10 {
		fmt.Fprintf(&text, "pod-%d=2,", i)
	}
	s := storeOf([]*corev1.Service{makeService("web", annotations(AnnotationScheduler, "weighted", AnnotationWeights, text.String()))}, nil)
	port, _ := s.ServicePort(s.Names()[0])
	if got := len(port.Traffic.Weights.ByPod); got != maxWeights {
		t.Errorf("%d weights are kept, want %d", got, maxWeights)
	}
	if problems := describeProblems(s); len(problems) != 1 {
		t.Errorf("problems: %q, want one", problems)
	}
}

func TestWhoseWeightCounts(t *testing.T) {
	weights := &Weights{ByAddr: map[netip.Addr]uint16{netip.MustParseAddr("10.0.0.1"): 5}, ByPod: map[string]uint16{"a": 3, "b": 4}}
	for _, tc := range []struct {
		weights *Weights
		addr    string
		pod     string
		slice   uint16
		want    uint16
	}{
		{nil, "10.0.0.1:80", "a", 0, 1},
		{nil, "10.0.0.1:80", "a", 7, 7},
		{weights, "10.0.0.1:80", "a", 7, 5},
		{weights, "10.0.0.2:80", "a", 7, 3},
		{weights, "10.0.0.2:80", "", 7, 7},
		{weights, "10.0.0.2:80", "c", 0, 1},
	} {
		e := Endpoint{Addr: netip.MustParseAddrPort(tc.addr), Pod: tc.pod, Weight: tc.slice}
		if got := tc.weights.Of(&e); got != tc.want {
			t.Errorf("%+v weighs %d", tc, got)
		}
	}
}

func TestASliceLendsItsEndpointsAWeightAPodAndHints(t *testing.T) {
	full := func(eps *discoveryv1.EndpointSlice) {
		eps.Annotations = map[string]string{AnnotationWeights: "12"}
		e := &eps.Endpoints[0]
		e.NodeName, e.Zone = new("n1"), new("z1")
		e.TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: "web-0"}
		e.Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "z1"}}, ForNodes: []discoveryv1.ForNode{{Name: "n1"}}}
	}
	bad := func(eps *discoveryv1.EndpointSlice) {
		eps.Annotations = map[string]string{AnnotationWeights: "0"}
		eps.Endpoints[0].TargetRef = &corev1.ObjectReference{Kind: "Node", Name: "n1"}
	}
	s := storeOf([]*corev1.Service{makeService("web")}, []*discoveryv1.EndpointSlice{
		makeSlice("web", "web-1", endpoint("10.0.0.1", ""), full), makeSlice("web", "web-2", endpoint("10.0.0.2", ""), bad),
	})
	want := []Endpoint{{
		Addr: netip.MustParseAddrPort("10.0.0.1:8080"), Ready: true, Serving: true, Weight: 12,
		NodeName: "n1", Zone: "z1", Pod: "web-0", Hints: &Hints{ForNodes: []string{"n1"}, ForZones: []string{"z1"}},
	}, {Addr: netip.MustParseAddrPort("10.0.0.2:8080"), Ready: true, Serving: true}}
	if diff := cmp.Diff(want, s.Endpoints(s.Names()[0], IPv4), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	wantProblems := []string{`EndpointSlice default/web-2: metadata.annotations[switchyard.dev/weights]: "0" is not a weight; choose a whole number, 1-65535`}
	if diff := cmp.Diff(wantProblems, describeProblems(s)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestAProxyTakesOnlyServicesOfItsName(t *testing.T) {
	for _, tc := range []struct{ proxy, want string }{
		{"", "unlabelled"}, {"mine", "mine"}, {"nobody", ""},
	} {
		s := NewStore(Options{ProxyName: tc.proxy})
		s.SetService(makeService("unlabelled", clusterIPs("10.96.0.1")))
		s.SetService(makeService("empty", clusterIPs("10.96.0.2"), serviceLabel(LabelServiceProxyName, "")))
		s.SetService(makeService("mine", clusterIPs("10.96.0.3"), serviceLabel(LabelServiceProxyName, "mine")))
		for _, service := range []string{"unlabelled", "empty", "mine"} {
			s.SetSlice(makeSlice(service, service+"-1", endpoint("10.0.0.1", "")))
			// The Service's label has just changed, the slice's is about to.
			s.SetSlice(makeSlice(service, service+"-2", sliceLabel(LabelServiceProxyName, "other"), endpoint("10.0.0.2", "")))
		}
		var got []string
		for _, name := range s.Names() {
			got = append(got, fmt.Sprintf("%s %d", name.Name, len(s.Endpoints(name, IPv4))))
		}
		want := map[string][]string{"unlabelled": {"unlabelled 2"}, "mine": {"mine 2"}}[tc.want]
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("proxy %q: Services and endpoints (-want +got):\n%s", tc.proxy, diff)
		}
	}
}

func TestSlicesOfOthersServicesHaveNoProblems(t *testing.T) {
	s := storeOf(nil, []*discoveryv1.EndpointSlice{makeSlice("web", "web-1", endpoint("nonsense", ""))})
	others := makeService("web", serviceLabel(LabelServiceProxyName, "other"))
	for _, step := range []struct {
		what string
		do   func()
		want int
	}{
		{"nobody has the Service", func() {}, 0},
		{"another proxy has it", func() { s.SetService(others) }, 0},
		{"we have it", func() { s.SetService(makeService("web")) }, 1},
		{"another proxy has it again", func() { s.SetService(others) }, 0},
		{"and we have it again", func() { s.SetService(makeService("web")) }, 1},
	} {
		step.do()
		if got := describeProblems(s); len(got) != step.want {
			t.Errorf("%s: problems %q, want %d", step.what, got, step.want)
		}
	}
}

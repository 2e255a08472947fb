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

package discovery

import (
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// shop is an index with a Service web, headless db, ExternalName out and empty.
func shop(o Options) *Index {
	x := NewIndex(o)
	x.SetNamespace("shop")
	http := []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80}, {Protocol: corev1.ProtocolUDP, Port: 81}}
	set := func(name string, spec corev1.ServiceSpec) {
		svc := makeService(spec)
		svc.Name = name
		x.SetService(svc)
	}
	set("web", corev1.ServiceSpec{ClusterIPs: []string{"10.96.0.7"}, Ports: http})
	set("db", corev1.ServiceSpec{ClusterIPs: []string{"None"}})
	set("empty", corev1.ServiceSpec{ClusterIPs: []string{"None"}})
	set("out", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"})
	eps := endpointSlice("db-1", []discoveryv1.EndpointPort{portOf("sql", 5432)}, endpoint("10.0.0.1"), endpoint("10.0.0.2"))
	eps.Labels[discoveryv1.LabelServiceName] = "db"
	x.SetSlice(eps)
	return x
}

// D10: what exists and has nothing of a type is not what does not exist.
func TestWhatExists(t *testing.T) {
	x := shop(Options{Zone: zone, Pods: PodsInsecure})
	for name, want := range map[string]bool{
		"": true, "svc": true, "pod": true, "shop.svc": true, "shop.pod": true, "dns-version": true, "ns.dns": true,
		"web.shop.svc": true, "_http._tcp.web.shop.svc": true, "_tcp.web.shop.svc": true, "db.shop.svc": true, "10-0-0-1.db.shop.svc": true, "out.shop.svc": true,
		"10-0-0-1.shop.pod": true, "fd00--1.shop.pod": true,
		"shop": false, "nothing.svc": false, "nothing.pod": false, "web.nothing.svc": false, "nothing.shop.svc": false, "empty.shop.svc": false,
		"10-0-0-3.db.shop.svc": false, "10-0-0-1.web.shop.svc": false, "_http._udp.web.shop.svc": false, "_udp.web.shop.svc": false, "_sql._tcp.out.shop.svc": false,
		"x.out.shop.svc": false, "a.b.c.web.shop.svc": false, "web-1.shop.pod": false, "x.10-0-0-1.shop.pod": false, "web.shop.svc.svc": false,
	} {
		for _, which := range []Type{A, AAAA, SRV, PTR, CNAME, TXT, "HTTPS"} {
			if got := x.Lookup(Question{Name: name, Zone: zone, Type: which}, &Answer{}); got != want {
				t.Errorf("%q exists for %s: %v, want %v", name, which, got, want)
			}
		}
	}
}

func TestPodsAreVerified(t *testing.T) {
	x := shop(Options{Zone: zone, Pods: PodsVerified})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a"}}
	exists := func(name string) bool { return x.Lookup(Question{Name: name, Zone: zone, Type: A}, &Answer{}) }
	steps := []struct {
		do   func()
		want bool
	}{
		{func() {}, false},
		{func() { pod.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.1"}, {IP: "fd00::1"}}; x.SetPod(pod) }, true},
		{func() { pod.Status.Phase = corev1.PodSucceeded; x.SetPod(pod) }, false},
		{func() { pod.Status.Phase = corev1.PodRunning; x.SetPod(pod) }, true},
		{func() { x.DeletePod("shop", "a") }, false},
	}
	x.SetNamespace("other")
	for i, step := range steps {
		step.do()
		for _, name := range []string{"10-0-0-1.shop.pod", "fd00--1.shop.pod"} {
			if got := exists(name); got != step.want {
				t.Errorf("step %d: %s exists: %v, want %v", i, name, got, step.want)
			}
		}
		if exists("10-0-0-1.other.pod") {
			t.Errorf("step %d: a pod of another namespace", i)
		}
	}
}

func TestReverseNames(t *testing.T) {
	for _, text := range []string{"10.1.2.3", "0.0.0.0", "255.255.255.255", "fd00::1", "2001:db8:1:2:3:4:5:6", "::1"} {
		a := netip.MustParseAddr(text)
		if got, is := ReverseAddress(ReverseName(a)); !is || got != a {
			t.Errorf("%s is %s, which is %v", a, ReverseName(a), got)
		}
	}
	for _, name := range []string{
		"", "in-addr.arpa.", "1.in-addr.arpa.", "1.2.3.in-addr.arpa.", "1.2.3.4.5.in-addr.arpa.", "256.0.0.1.in-addr.arpa.", "01.0.0.1.in-addr.arpa.",
		"...1.in-addr.arpa.", "1.ip6.arpa.", "g.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.", "web.shop.svc.cluster.local.",
	} {
		if a, is := ReverseAddress(name); is {
			t.Errorf("%q is taken for %v", name, a)
		}
	}
}

// Readers see a Service as it was or as it is, nothing in between.
func TestReadersDuringChanges(t *testing.T) {
	x := shop(Options{Zone: zone})
	one := endpointSlice("db-1", nil, endpoint("10.0.0.1"), endpoint("10.0.0.2"))
	two := endpointSlice("db-1", nil, endpoint("10.0.0.3"), endpoint("10.0.0.4"), endpoint("10.0.0.5"))
	one.Labels[discoveryv1.LabelServiceName], two.Labels[discoveryv1.LabelServiceName] = "db", "db"
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20_000 {
			x.SetSlice(two)
			x.SetSlice(one)
		}
	}()
	var answer Answer
	for {
		x.Lookup(Question{Name: "db.shop.svc", Zone: zone, Type: A}, &answer)
		first := answer.Addresses[0].As4()[3]
		if n := len(answer.Addresses); first == 1 && n != 2 || first == 3 && n != 3 {
			t.Fatalf("answer is %v", answer.Addresses)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

// An address that stays in one of two Services is always somebody's.
func TestASharedAddressIsNeverNobodys(t *testing.T) {
	x := shop(Options{Zone: zone})
	shared := endpointSlice("web-1", nil, endpoint("10.0.0.1"))
	stays := endpointSlice("db-1", nil, endpoint("10.0.0.1"))
	shared.Labels[discoveryv1.LabelServiceName], stays.Labels[discoveryv1.LabelServiceName] = "web", "db"
	a := pack(netip.MustParseAddr("10.0.0.1"))
	web, _ := x.services.get("web.shop")
	// The Service that is about to lose the address is its owner, another shares it.
	x.DeleteSlice("shop", "db-1")
	x.SetSlice(shared)
	x.SetSlice(stays)
	if owner, _ := x.owners.get(a); owner != web {
		t.Fatal("another Service is the owner")
	}
	var found []string
	for s := range x.ownersOf(a) {
		if len(found) == 0 {
			x.DeleteSlice("shop", "web-1")
		}
		found = append(found, s.key)
	}
	if !slices.Contains(found, "db.shop") {
		t.Errorf("a reader who was there before the change found only %v", found)
	}
}

func TestAnsweringTakesNoMemory(t *testing.T) {
	x := shop(Options{Zone: zone})
	var answer Answer
	for _, q := range []Question{
		{"web.shop.svc", zone, A}, {"db.shop.svc", zone, A}, {"nothing.shop.svc", zone, A}, {"web.shop.svc", zone, AAAA}, {"out.shop.svc", zone, SRV},
	} {
		if n := testing.AllocsPerRun(100, func() { x.Lookup(q, &answer) }); n > 0 {
			t.Errorf("%s takes %v allocations", q.Name, n)
		}
	}
}

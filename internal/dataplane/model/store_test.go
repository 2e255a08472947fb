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
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func dirty(s *Store) []string {
	var names []string
	for _, name := range s.TakeDirty() {
		names = append(names, name.String())
	}
	return names
}

func TestAnEventConcernsOnlyItsService(t *testing.T) {
	s := storeOf([]*corev1.Service{
		makeService("a", clusterIPs("10.96.0.1")),
		makeService("b", clusterIPs("10.96.0.2")),
	}, nil)
	s.TakeDirty()
	for _, step := range []struct {
		what string
		do   func()
		want []string
	}{
		{"a slice appears", func() { s.SetSlice(makeSlice("a", "a-1", endpoint("10.0.0.1", ""))) }, []string{"default/a/TCP"}},
		{"it comes again unchanged", func() { s.SetSlice(makeSlice("a", "a-1", endpoint("10.0.0.1", ""))) }, nil},
		{"it moves to another Service", func() { s.SetSlice(makeSlice("b", "a-1", endpoint("10.0.0.1", ""))) },
			[]string{"default/a/TCP", "default/b/TCP"}},
		{"it becomes headless", func() {
			s.SetSlice(makeSlice("b", "a-1", sliceLabel(corev1.IsHeadlessService, ""), endpoint("10.0.0.1", "")))
		}, []string{"default/b/TCP"}},
		{"a slice that was never there is deleted", func() { s.DeleteSlice("default", "a-9") }, nil},
		{"a Service comes again with another annotation", func() {
			s.SetService(makeService("a", clusterIPs("10.96.0.1"), func(svc *corev1.Service) {
				svc.Annotations = map[string]string{"note": "x"}
			}))
		}, nil},
		{"a Service gives up its port for another", func() {
			s.SetService(makeService("a", clusterIPs("10.96.0.1"), ports(corev1.ServicePort{Name: "x", Port: 80})))
		}, []string{"default/a/TCP", "default/a:x/TCP"}},
		{"a third claims the address of another", func() {
			s.SetService(makeService("c", createdAfter(time.Hour), clusterIPs("10.96.0.2")))
		}, []string{"default/b/TCP", "default/c/TCP"}},
		{"and gets it when the owner goes", func() { s.DeleteService("default", "b") }, []string{"default/b/TCP", "default/c/TCP"}},
		{"a Service is given to another proxy", func() {
			s.SetService(makeService("c", clusterIPs("10.96.0.2"), serviceLabel(LabelServiceProxyName, "x")))
		}, []string{"default/c/TCP"}},
	} {
		step.do()
		if diff := cmp.Diff(step.want, dirty(s)); diff != "" {
			t.Errorf("%s: dirty (-want +got):\n%s", step.what, diff)
		}
	}
}

func TestAnEmptyStoreRemembersNothing(t *testing.T) {
	s := storeOf([]*corev1.Service{makeService("a"), makeService("b", externalIPs("nonsense"))},
		[]*discoveryv1.EndpointSlice{makeSlice("a", "a-1", endpoint("x", ""))})
	s.TakeProblems()
	s.DeleteService("default", "a")
	s.DeleteService("default", "b")
	s.DeleteSlice("default", "a-1")
	s.TakeProblems()
	s.TakeDirty()
	left := len(s.services) + len(s.slices.byName) + len(s.slices.byService) + len(s.claims) + len(s.dirty) + len(s.reports.reported)
	if left != 0 {
		t.Errorf("%d entries are left in %+v", left, s)
	}
}

// Whatever way the world came to be as it is, the answers are the same.
func TestTheOrderOfEventsDoesNotMatter(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		services, slices := randomWorld(random)
		want := describe(storeOf(services, slices))
		wandering := wander(random, services, slices)
		if diff := cmp.Diff(want, describe(wandering)); diff != "" {
			t.Fatalf("seed %d: straight and wandering (-straight +wandering):\n%s", seed, diff)
		}
		wandering.TakeProblems()
		for _, key := range []string{"s0", "s1", "s2"} {
			report := reportKey{"Service", "default", key}
			if diff := cmp.Diff(storeOf(services, slices).problems(report), wandering.problems(report)); diff != "" {
				t.Fatalf("seed %d: problems of %s (-straight +wandering):\n%s", seed, key, diff)
			}
		}
	}
}

func randomWorld(random *rand.Rand) (services []*corev1.Service, slices []*discoveryv1.EndpointSlice) {
	for i := range 3 {
		services = append(services, randomService(random, i))
	}
	for i := range 4 {
		slices = append(slices, randomSlice(random, i))
	}
	return services, slices
}

func randomService(random *rand.Rand, i int) *corev1.Service {
	return makeService(fmt.Sprintf("s%d", i), createdAfter(time.Duration(random.IntN(2))*time.Hour),
		clusterIPs(fmt.Sprintf("10.96.0.%d", 1+random.IntN(3))), externalIPs(fmt.Sprintf("192.0.2.%d", 1+random.IntN(2))),
		ports(corev1.ServicePort{Port: int32(80 + random.IntN(2)), NodePort: int32(30000 + random.IntN(2))}))
}

func randomSlice(random *rand.Rand, i int) *discoveryv1.EndpointSlice {
	states := []string{"", "ready serving", "serving terminating", "none"}
	return makeSlice(fmt.Sprintf("s%d", random.IntN(3)), fmt.Sprintf("slice-%d", i),
		endpoint(fmt.Sprintf("10.0.0.%d", 1+random.IntN(2)), states[random.IntN(4)]),
		endpoint(fmt.Sprintf("10.0.0.%d", 1+random.IntN(4)), states[random.IntN(4)]))
}

// wander visits other worlds before it arrives at the one given, in any order.
func wander(random *rand.Rand, services []*corev1.Service, slices []*discoveryv1.EndpointSlice) *Store {
	s := NewStore(Options{})
	for range 30 {
		i := random.IntN(4)
		switch random.IntN(4) {
		case 0:
			s.SetService(randomService(random, i))
		case 1:
			s.SetSlice(randomSlice(random, i))
		case 2:
			s.DeleteService("default", fmt.Sprintf("s%d", i))
		case 3:
			s.DeleteSlice("default", fmt.Sprintf("slice-%d", i))
		}
	}
	s.DeleteService("default", "s3") // wandering may have made it
	arrivals := []func(){}
	for _, svc := range services {
		arrivals = append(arrivals, func() { s.SetService(svc) })
	}
	for _, eps := range slices {
		arrivals = append(arrivals, func() { s.SetSlice(eps) })
	}
	random.Shuffle(len(arrivals), func(i, j int) { arrivals[i], arrivals[j] = arrivals[j], arrivals[i] })
	for _, arrive := range arrivals {
		arrive()
	}
	return s
}

// A Service may lose its ClusterIP by being made anew, or by a change of its type.
func TestAServiceThatBecomesHeadlessIsForgottenWithItsSlices(t *testing.T) {
	for name, change := range map[string]serviceOption{
		"headless": clusterIPs("None"),
		"ExternalName": func(svc *corev1.Service) {
			svc.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, slice := makeService("a", externalIPs("203.0.113.9")), makeSlice("a", "a-1", endpoint("10.0.0.1", "ready serving"), endpoint("nonsense", ""))
			s := storeOf([]*corev1.Service{a}, []*discoveryv1.EndpointSlice{slice})
			want := []string{"default/a/TCP 10.96.0.10:80 vips=[203.0.113.9] 10.0.0.1:8080/r/s"}
			if diff := cmp.Diff(want, describe(s)); diff != "" {
				t.Fatalf("at first (-want +got):\n%s", diff)
			}
			s.TakeDirty()
			if len(describeProblems(s)) == 0 {
				t.Fatal("nonsense is no problem")
			}
			gone := a.DeepCopy()
			change(gone)
			s.SetService(gone)
			if diff := cmp.Diff([]string{"default/a/TCP"}, dirty(s)); diff != "" {
				t.Errorf("who is looked at again (-want +got):\n%s", diff)
			}
			if left := describe(s); len(left) != 0 || s.IsVIP(netip.MustParseAddr("203.0.113.9")) {
				t.Errorf("left are %v", left)
			}
			s.SetService(a)
			if diff := cmp.Diff(want, describe(s)); diff != "" {
				t.Errorf("with its ClusterIP again (-want +got):\n%s", diff)
			}
		})
	}
}

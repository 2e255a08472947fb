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

package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// wild makes objects as nobody should: most are fit for use, some parts of
// many are not.
type wild struct{ *rand.Rand }

func pick[T any](w wild, of ...T) T { return of[w.IntN(len(of))] }

func some[T any](w wild, most int, of ...T) []T {
	var list []T
	for range w.IntN(most + 1) {
		list = append(list, pick(w, of...))
	}
	return list
}

var (
	wildVIPs = []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "10.96.0.1", "fd00::1", "127.0.0.1", "::", "nonsense", "", "224.0.0.1", "192.000.002.001"}
	wildAnn  = []string{"weighted", "maglev", "random", "Service", "Port", "a=1, 10.0.0.1=5", "b=0,,=,x", "7", "70000", "", "\xff=\xff"}
)

func (w wild) service(i int) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: fmt.Sprint("s", i), CreationTimestamp: metav1.Unix(int64(w.IntN(2)), 0), Annotations: map[string]string{},
	}}
	for _, key := range some(w, 4, model.Annotations()...) {
		svc.Annotations[key] = pick(w, wildAnn...)
	}
	if w.IntN(8) == 0 {
		svc.Labels = map[string]string{model.LabelServiceProxyName: pick(w, "", "x")}
	}
	spec := &svc.Spec
	spec.Type = pick(w, corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName, "odd")
	spec.ClusterIPs = some(w, 3, "10.96.0.1", "10.96.0.2", "fd00::1", "fd00::2", "None", "nonsense", "")
	spec.ClusterIP = pick(w, append(spec.ClusterIPs, "10.96.0.1")...)
	spec.ExternalIPs = some(w, 3, wildVIPs...)
	for _, ip := range some(w, 3, wildVIPs...) {
		mode := pick(w, nil, new(corev1.LoadBalancerIPModeVIP), new(corev1.LoadBalancerIPModeProxy))
		svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: ip, IPMode: mode})
	}
	spec.LoadBalancerSourceRanges = some(w, 2, "10.0.0.0/8", " 192.0.2.0/24", "0.0.0.0/0", "fd00::/8", "::/0", "x")
	spec.InternalTrafficPolicy = pick(w, nil, new(corev1.ServiceInternalTrafficPolicyLocal), new(corev1.ServiceInternalTrafficPolicyCluster))
	spec.ExternalTrafficPolicy = pick(w, "", corev1.ServiceExternalTrafficPolicyLocal, corev1.ServiceExternalTrafficPolicyCluster)
	spec.HealthCheckNodePort = pick[int32](w, 0, 30000, 30001, -1, 99999)
	spec.SessionAffinity = pick(w, corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP)
	spec.SessionAffinityConfig = pick(w, nil, &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: pick(w, nil, new(int32(0)), new(int32(60)))}})
	for range w.IntN(4) {
		spec.Ports = append(spec.Ports, corev1.ServicePort{
			Name: pick(w, "", "a", "b"), Protocol: pick(w, "", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP, "X"),
			Port: pick[int32](w, 80, 81, 0, -5, 65536), NodePort: pick[int32](w, 0, 30000, 30001, 30002, 70000),
		})
	}
	return svc
}

func (w wild) slice(i int) *discoveryv1.EndpointSlice {
	eps := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: fmt.Sprint("slice-", i), Labels: map[string]string{discoveryv1.LabelServiceName: fmt.Sprint("s", w.IntN(4))},
			Annotations: map[string]string{model.AnnotationWeights: pick(w, wildAnn...)},
		},
		AddressType: pick(w, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN, "X"),
	}
	if w.IntN(8) == 0 {
		eps.Labels[pick(w, corev1.IsHeadlessService, model.LabelServiceProxyName)] = ""
	}
	for range w.IntN(4) {
		eps.Ports = append(eps.Ports, discoveryv1.EndpointPort{
			Name: pick(w, nil, new(""), new("a"), new("b")), Protocol: pick(w, nil, new(corev1.ProtocolTCP), new(corev1.ProtocolUDP), new(corev1.Protocol("X"))),
			Port: pick(w, nil, new(int32(8080)), new(int32(8081)), new(int32(0)), new(int32(70000))),
		})
	}
	condition := func() *bool { return pick(w, nil, new(true), new(false)) }
	for range w.IntN(6) {
		eps.Endpoints = append(eps.Endpoints, discoveryv1.Endpoint{
			Addresses:  some(w, 2, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "fd01::1", "fd01::2", "10.96.0.9", "127.0.0.1", "169.254.1.1", "::ffff:10.0.0.5", "x"),
			Conditions: discoveryv1.EndpointConditions{Ready: condition(), Serving: condition(), Terminating: condition()},
			NodeName:   pick(w, nil, new("here"), new("there"), new("")), Zone: pick(w, nil, new("a")),
			TargetRef: pick(w, nil, &corev1.ObjectReference{Kind: "Pod", Name: "a"}),
			Hints: pick(w, nil, &discoveryv1.EndpointHints{}, &discoveryv1.EndpointHints{
				ForZones: []discoveryv1.ForZone{{Name: pick(w, "a", "b", "")}}, ForNodes: []discoveryv1.ForNode{{Name: pick(w, "here", "there")}}}),
		})
	}
	return eps
}

// world is what a cluster holds in the end.
type world struct {
	services []*corev1.Service
	slices   []*discoveryv1.EndpointSlice
	cidrs    []netip.Prefix
}

func (w wild) world() world {
	var made world
	for i := range 4 {
		made.services = append(made.services, w.service(i))
		made.slices = append(made.slices, w.slice(2*i), w.slice(2*i+1))
	}
	made.cidrs = some(w, 1, netip.MustParsePrefix("10.96.0.0/16"))
	return made
}

// events bring a Store to the world.
func (o world) events() []func(*model.Store) {
	list := []func(*model.Store){func(s *model.Store) { s.SetServiceCIDRs(o.cidrs) }}
	for _, svc := range o.services {
		list = append(list, func(s *model.Store) { s.SetService(svc) })
	}
	for _, eps := range o.slices {
		list = append(list, func(s *model.Store) { s.SetSlice(eps) })
	}
	return list
}

// follower decides again only what a Store says may have changed.
type follower struct {
	store *model.Store
	held  map[decided]Decision
}

type decided struct {
	name   model.ServicePortName
	family model.Family
}

func newFollower() *follower {
	return &follower{model.NewStore(model.Options{}), map[decided]Decision{}}
}

func (f *follower) follow() {
	for _, name := range f.store.TakeDirty() {
		port, _ := f.store.ServicePort(name) // one that is gone has no ClusterIP
		for _, family := range []model.Family{model.IPv4, model.IPv6} {
			if d, ok := Decide(port, f.store.Endpoints(name, family), family, here); ok {
				f.held[decided{name, family}] = d
			} else {
				delete(f.held, decided{name, family})
			}
		}
	}
}

// Whatever way the world came to be as it is, malformed parts included, what is
// decided is the same, and what was decided on the way is never out of date.
func TestEveryWayToAWorldEndsInTheSameDecisions(t *testing.T) {
	for seed := range uint64(400) {
		w := wild{rand.New(rand.NewPCG(seed, 7))}
		end := w.world()
		squashed := newFollower()
		for _, event := range end.events() {
			event(squashed.store)
		}
		squashed.follow()
		reversed := newFollower()
		for _, event := range slices.Backward(end.events()) {
			event(reversed.store)
			reversed.follow()
		}
		wandering := newFollower()
		for range 2 {
			for _, event := range w.world().events() {
				event(wandering.store)
				wandering.follow()
			}
			wandering.store.DeleteService("default", "s1")
			wandering.store.DeleteSlice("default", "slice-3")
		}
		for _, event := range end.events() {
			event(wandering.store)
			wandering.follow()
		}
		for name, other := range map[string]*follower{"reversed": reversed, "wandering": wandering} {
			if diff := cmp.Diff(squashed.held, other.held, byEqual); diff != "" {
				t.Fatalf("seed %d: squashed and %s (-squashed +%s):\n%s", seed, name, name, diff)
			}
			other.store.TakeProblems()
		}
		for _, d := range squashed.held {
			checkSound(t, seed, d)
		}
	}
}

var byEqual = cmp.Comparer(Equal)

// checkSound holds what the ruleset relies on.
func checkSound(t *testing.T, seed uint64, d Decision) {
	t.Helper()
	for name, list := range map[string][]netip.AddrPort{"Cluster": d.Cluster, "Near": d.Near, "Local": d.Local, "Known": d.Known} {
		checkList(t, fmt.Sprintf("seed %d: %s of %s", seed, name, d.Name), list, d)
	}
	if len(d.Known) > 0 && len(d.Cluster) == 0 && len(d.Local) > 0 {
		t.Errorf("seed %d: %s has local endpoints and no others", seed, d.Name)
	}
	vips := d.ExternalVIPs()
	if len(slices.Compact(vips)) != len(d.ExternalIPs)+len(d.LoadBalancerIPs) || slices.Contains(vips, d.ClusterIP) {
		t.Errorf("seed %d: the addresses of %s repeat: %s %v", seed, d.Name, d.ClusterIP, vips)
	}
	if d.Affinity != 0 && (d.Affinity < time.Second || d.Affinity > 24*time.Hour) {
		t.Errorf("seed %d: %s is sticky for %s", seed, d.Name, d.Affinity)
	}
	for addr, weight := range d.Weights {
		if weight < 2 || !contains(d.Cluster, addr) && !contains(d.Local, addr) {
			t.Errorf("seed %d: %s of %s weighs %d", seed, addr, d.Name, weight)
		}
	}
}

func checkList(t *testing.T, name string, list []netip.AddrPort, d Decision) {
	t.Helper()
	if !slices.IsSortedFunc(list, netip.AddrPort.Compare) || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Errorf("%s is not sorted and unique: %v", name, list)
	}
	if !subset(list, d.Known) {
		t.Errorf("%s is not known: %v", name, list)
	}
	for _, addr := range list {
		if addr.Port() == 0 || model.FamilyOf(addr.Addr()) != d.Family || addr.Addr().IsLoopback() {
			t.Errorf("%s holds %s", name, addr)
		}
	}
}

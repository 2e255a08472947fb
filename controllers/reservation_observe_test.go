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

package controllers

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/placeholder"
)

// reservationClient has the indexes of the manager's cache.
func reservationClient(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.PortReservation{}, &v1alpha1.AddressReservation{})
	for _, index := range reservationIndexes {
		builder.WithIndex(index.object, index.name, index.keys)
	}
	return builder.Build()
}

func reservationsOf(t *testing.T, objects ...client.Object) (*reservations, *eventLog) {
	t.Helper()
	c := reservationClient(t, append(objects,
		&networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.0.0.0/24"}}})...)
	index := allocator.NewServices(allocator.PortSpan{First: 30000, Last: 30099})
	if err := index.SetServiceCIDRs([]corev1.IPFamily{corev1.IPv4Protocol}, []allocator.ServiceCIDR{{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Ready: true}}); err != nil {
		t.Fatal(err)
	}
	index.SetReady()
	log := &eventLog{}
	return &reservations{
		client: c, live: c, index: index, recorder: log, now: func() time.Time { return reservationTime },
		keeper: &placeholder.Keeper{Client: c, Live: c, Namespace: "system"}, budget: &retainBudget{client: c, most: 1},
	}, log
}

func observed(t *testing.T, r *reservations, number allocator.Number) *reservationFacts {
	t.Helper()
	facts := reservedPort(func(f *reservationFacts) { f.Number, f.Object = number, number.ReservationName() })
	if err := r.observe(context.Background(), facts); err != nil {
		t.Fatal(err)
	}
	return facts
}

func using(name, ip string, change func(*corev1.Service)) *corev1.Service {
	s := allocated(name, 1, ip, 0)
	change(s)
	return s
}

// Whoever writes a Service may name any address as an external IP.
func TestOnlyAClusterIPTakesAReservedClusterIP(t *testing.T) {
	external := func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"10.0.0.7", "192.0.2.7"} }
	balanced := func(s *corev1.Service) {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "10.0.0.7"}, {IP: "192.0.2.7"}}
	}
	inside, outside := allocator.AddrNumber(netip.MustParseAddr("10.0.0.7")), allocator.AddrNumber(netip.MustParseAddr("192.0.2.7"))
	for name, tc := range map[string]struct {
		service *corev1.Service
		number  allocator.Number
		want    reservationVerdict
	}{
		"a stranger has the ClusterIP":               {using("thief", "10.0.0.7", func(*corev1.Service) {}), inside, reservationTaken},
		"its Service has the ClusterIP":              {using("web", "10.0.0.7", func(*corev1.Service) {}), inside, reservationBound},
		"a stranger names the ClusterIP as external": {using("thief", "10.0.0.9", external), inside, reservationFree},
		"its Service names it as external":           {using("web", "10.0.0.9", external), inside, reservationFree},
		"a stranger's balancer has the ClusterIP":    {using("thief", "10.0.0.9", balanced), inside, reservationFree},
		"its Service's balancer has the ClusterIP":   {using("web", "10.0.0.9", balanced), inside, reservationFree},
		"a stranger's balancer has another address":  {using("thief", "10.0.0.9", balanced), outside, reservationTaken},
		"its Service's balancer has another address": {using("web", "10.0.0.9", balanced), outside, reservationBound},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := reservationsOf(t, tc.service)
			for _, known := range []bool{false, true} { // to the index, which hears of Services by another way
				if known {
					r.index.Observe(tc.service)
				} else if tc.service.Spec.ClusterIP == tc.number.String() {
					continue // then the API server refuses what would hold it, and it is tried again
				}
				if got := observed(t, r, tc.number).verdict(); got != tc.want {
					t.Errorf("known to the index %v: verdict %d, want %d", known, got, tc.want)
				}
			}
		})
	}
}

func TestPortsOutsideOfTheRangeAreNotTried(t *testing.T) {
	r, _ := reservationsOf(t)
	facts := observed(t, r, allocator.PortNumber(8080))
	if facts.verdict() != reservationOutside || !strings.Contains(facts.outside, "30000-30099") {
		t.Errorf("verdict %d, %q", facts.verdict(), facts.outside)
	}
	if got := observed(t, r, allocator.PortNumber(30099)).verdict(); got != reservationFree {
		t.Errorf("the last port of the range: verdict %d", got)
	}
}

func TestWhatNobodyWouldHandOverIsNotHeld(t *testing.T) {
	exempt := func(object client.Object) bool {
		return object.GetNamespace() == "kube-system" && (object.GetName() == "kube-dns" || object.GetLabels()["k8s-app"] == "kube-dns")
	}
	key := func(namespace, name string) types.NamespacedName {
		return types.NamespacedName{Namespace: namespace, Name: name}
	}
	labelled := func(namespace, value string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "dns2", Labels: map[string]string{"k8s-app": value}}}
	}
	for name, tc := range map[string]struct {
		noWebhook bool
		key       types.NamespacedName
		service   *corev1.Service
		want      string
	}{
		"by name":                {false, key("kube-system", "kube-dns"), nil, "ExemptService"},
		"by a label that it has": {false, key("kube-system", "dns2"), labelled("kube-system", "kube-dns"), "ExemptService"},
		"by a label that it may have when it comes": {false, key("kube-system", "dns2"), nil, "ExemptService"},
		"not without the label":                     {false, key("kube-system", "dns2"), labelled("kube-system", "web"), ""},
		"not in another namespace":                  {false, key("team", "kube-dns"), nil, ""},
		"nobody's":                                  {false, types.NamespacedName{}, nil, ""},
		"without a webhook":                         {true, key("team", "web"), nil, "NoWebhook"},
		"nobody's, without a webhook":               {true, types.NamespacedName{}, nil, "NoWebhook"},
	} {
		r := &reservations{exempt: exempt, noWebhook: tc.noWebhook}
		if got := r.whyUnguarded(tc.key, tc.service); got.reason != tc.want || (got.message == "") != (tc.want == "") {
			t.Errorf("%s: %+v, want %q", name, got, tc.want)
		}
	}
}

// Events are read by all users of a namespace.
func TestEventsNameServicesOfOneNamespaceOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		owner     types.NamespacedName
		says      string
		withholds string
	}{
		"of one namespace": {types.NamespacedName{Namespace: "team", Name: "api"}, "Service team/api", "another namespace"},
		"of two":           {types.NamespacedName{Namespace: "blue", Name: "api"}, "a Service of another namespace", "blue"},
		"of nobody":        {types.NamespacedName{}, "reserved for nobody", "Service of"},
	} {
		t.Run(name, func(t *testing.T) {
			thief := allocated("thief", 1, "10.0.0.9", 30080)
			r, log := reservationsOf(t, thief)
			pool, err := allocator.PortPoolOf(&v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "blue"}, Spec: v1alpha1.PortPoolSpec{
				Ranges: []v1alpha1.PortRange{"30081-30099"}, NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "blue"}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			r.index.SetPools([]allocator.PortPool{pool}, nil)
			r.index.Observe(thief)
			facts := reservedPort(func(f *reservationFacts) { f.Service = tc.owner })
			if err := r.observe(context.Background(), facts); err != nil {
				t.Fatal(err)
			}
			r.reportConflict(context.Background(), &v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "30080"}}, facts)
			lines := log.taken()
			if len(lines) != 2 || !strings.Contains(lines[1], tc.says) || strings.Contains(lines[1], tc.withholds) || !strings.Contains(lines[1], "free: 30000-30079") {
				t.Errorf("to the holder: %q", lines)
			}
			if strings.Contains(lines[0], "thief") || strings.Contains(lines[0], "api") {
				t.Errorf("to who reads namespace default: %q", lines[0])
			}
		})
	}
}

// A load-balancer controller gave it the address, or it named what anybody may name.
func TestWhoUsesAnAddressThatNoObjectHoldsIsToldNothing(t *testing.T) {
	user := using("other", "10.0.0.9", func(s *corev1.Service) {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.7"}}
	})
	r, log := reservationsOf(t, user)
	facts := observed(t, r, allocator.AddrNumber(netip.MustParseAddr("192.0.2.7")))
	r.reportConflict(context.Background(), &v1alpha1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: "192.0.2.7"}}, facts)
	if lines := log.taken(); len(lines) != 1 || !strings.HasPrefix(lines[0], "192.0.2.7: ReservationConflicted") {
		t.Errorf("Events: %q", lines)
	}
}

// The index hears of the end of a Service by another way, perhaps later.
func TestAHolderThatIsGoneIsNone(t *testing.T) {
	for name, now := range map[string]*corev1.Service{
		"it is deleted": nil, "it has another port": allocated("thief", 1, "10.0.0.9", 30081), "it has the port": allocated("thief", 1, "10.0.0.9", 30080),
	} {
		t.Run(name, func(t *testing.T) {
			var objects []client.Object
			if now != nil {
				objects = append(objects, now)
			}
			r, _ := reservationsOf(t, objects...)
			r.index.Observe(allocated("thief", 1, "10.0.0.9", 30080))
			want := reservationFree
			if now != nil && holds(now, allocator.PortNumber(30080)) {
				want = reservationTaken
			}
			if got := observed(t, r, allocator.PortNumber(30080)).verdict(); got != want {
				t.Errorf("verdict %d, want %d", got, want)
			}
		})
	}
}

// The free numbers that an Event names are those that the Service may have.
func TestFreeNumbersAreThoseOfTheNamespacesPools(t *testing.T) {
	thief := allocated("thief", 1, "10.0.0.9", 30080)
	r, log := reservationsOf(t, thief, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team", Labels: map[string]string{"team": "blue"}}})
	pool, err := allocator.PortPoolOf(&v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "blue"}, Spec: v1alpha1.PortPoolSpec{
		Ranges: []v1alpha1.PortRange{"30090-30099"}, NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "blue"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.index.SetPools([]allocator.PortPool{pool}, nil)
	r.index.Observe(thief)
	facts := observed(t, r, allocator.PortNumber(30080))
	r.reportConflict(context.Background(), &v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "30080"}}, facts)
	if lines := log.taken(); len(lines) != 2 || !strings.HasSuffix(lines[1], "free: 30090-30099") {
		t.Errorf("Events: %q", lines)
	}
}

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

package who

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/placeholder"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func hoursAgo(n int) metav1.Time { return metav1.NewTime(now.Add(-time.Duration(n) * time.Hour)) }

func TestQuestions(t *testing.T) {
	port := func(n int32) Question { return Question{Number: allocator.PortNumber(n)} }
	addr := func(text string) Question {
		return Question{Number: allocator.AddrNumber(netip.MustParseAddr(text))}
	}
	for text, tc := range map[string]struct {
		want Question
		err  string
	}{
		"30080":              {want: port(30080)},
		"1":                  {want: port(1)},
		"65535":              {want: port(65535)},
		"10.96.0.10":         {want: addr("10.96.0.10")},
		"::ffff:10.96.0.10":  {want: addr("10.96.0.10")},
		"fd00::10":           {want: addr("fd00::10")},
		"[fd00::10]":         {want: addr("fd00::10")},
		"FD00:0::10":         {want: addr("fd00::10")},
		"shop/web":           {want: Question{Service: types.NamespacedName{Namespace: "shop", Name: "web"}}},
		"0":                  {err: "ports are 1 to 65535"},
		"65536":              {err: "ports are 1 to 65535"},
		"-1":                 {err: "ports are 1 to 65535"},
		"10.96.0.0/12":       {err: "is a CIDR: ask for one address"},
		"shop/":              {err: "write it as shop/web"},
		"a/b/c":              {err: "write it as shop/web"},
		"web":                {want: Question{Service: types.NamespacedName{Namespace: "here", Name: "web"}}},
		"svc/web":            {want: Question{Service: types.NamespacedName{Namespace: "here", Name: "web"}}},
		"services/web":       {want: Question{Service: types.NamespacedName{Namespace: "here", Name: "web"}}},
		"10.96.0.10:443":     {want: addr("10.96.0.10")},
		"[fd00::10]:443":     {want: addr("fd00::10")},
		"[fe80::1%eth0]:443": {err: "is no port"},
		"Web":                {err: "is no port, no IP address and no NAMESPACE/NAME"},
		"31000-31010":        {err: "is no port"},
		"":                   {err: "is no port"},
		"[fd00::10":          {err: "is no port"},
		"fd00::10]":          {err: "is no port"},
		"fe80::1%eth0":       {err: "is no port"},
		"10.96.0.256":        {err: "is no port"},
		"999999999999999999": {err: "ports are 1 to 65535"},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := Parse(text, "here")
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

// scene has a Service with many numbers, one that is in its way, reservations of
// both kinds, a claim and pools.
func scene() *inventory.Index {
	web := corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", CreationTimestamp: hoursAgo(5), Annotations: map[string]string{v1alpha1.RetainAnnotation: "24h"}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.96.0.10", ClusterIPs: []string{"10.96.0.10", "fd00::10"},
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal, HealthCheckNodePort: 30020, ExternalIPs: []string{"192.0.2.1"},
			Ports: []corev1.ServicePort{
				{Name: "http", Port: 80, NodePort: 30010}, {Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP, NodePort: 30011},
				{Name: "dns-tcp", Port: 53, Protocol: corev1.ProtocolTCP, NodePort: 30011},
			},
		},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "198.51.100.1"}}}},
	}
	cart := corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", CreationTimestamp: hoursAgo(1)},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, ClusterIP: "10.96.0.11", ClusterIPs: []string{"10.96.0.11"},
			Ports: []corev1.ServicePort{{Port: 80, NodePort: 30030}},
		},
	}
	twin := *cart.DeepCopy()
	twin.Namespace, twin.Spec.ClusterIPs, twin.CreationTimestamp = "lab", []string{"10.96.0.12"}, hoursAgo(2)
	address := func(ip, namespace, name string, hours int) networkingv1.IPAddress {
		return networkingv1.IPAddress{
			ObjectMeta: metav1.ObjectMeta{Name: ip, CreationTimestamp: hoursAgo(hours)},
			Spec:       networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: namespace, Name: name}},
		}
	}
	reserved := allocator.Reservation{Number: allocator.AddrNumber(netip.MustParseAddr("10.96.0.7")), Object: "10.96.0.7"}
	lease := *allocator.ClaimLease("switchyard-system", allocator.Claim{
		Number: allocator.PortNumber(30040), Service: types.NamespacedName{Namespace: "shop", Name: "new"}, Created: now,
	}, "uid")
	lease.CreationTimestamp = metav1.NewTime(now.Add(-2 * time.Second))
	gateway := address("10.96.0.20", "shop", "gate", 1)
	gateway.Spec.ParentRef.Resource, gateway.Spec.ParentRef.Group = "gateways", "example.com"
	ref := &v1alpha1.ServiceReference{Namespace: "shop", Name: "web"}
	inv := &inventory.Inventory{
		System: "switchyard-system", NodePorts: inventory.NodePorts{Span: allocator.PortSpan{First: 30000, Last: 30099}, From: inventory.FromServer},
		Services: []corev1.Service{web, cart, twin, *placeholder.Ports("switchyard-system", 30070)},
		IPAddresses: []networkingv1.IPAddress{
			address("10.96.0.10", "shop", "web", 5), address("fd00::10", "shop", "web", 3), address("10.96.0.11", "shop", "cart", 1),
			address("10.96.0.12", "lab", "cart", 2), *placeholder.Address(reserved), gateway,
		},
		ServiceCIDRs: []networkingv1.ServiceCIDR{{
			ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/24", "fd00::/112"}},
		}},
		PortPools: []v1alpha1.PortPool{{
			ObjectMeta: metav1.ObjectMeta{Name: "team-a"},
			Spec: v1alpha1.PortPoolSpec{
				Ranges: []v1alpha1.PortRange{"30060-30075"}, NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}},
			},
		}},
		AddressPools: []v1alpha1.AddressPool{{
			ObjectMeta: metav1.ObjectMeta{Name: "edge"},
			Spec:       v1alpha1.AddressPoolSpec{Use: v1alpha1.UseLoadBalancer, Addresses: []v1alpha1.AddressRange{"198.51.100.0/30"}},
		}},
		PortReservations: []v1alpha1.PortReservation{
			{ObjectMeta: metav1.ObjectMeta{Name: "30070"}}, {ObjectMeta: metav1.ObjectMeta{Name: "30011"}, Spec: v1alpha1.PortReservationSpec{ServiceRef: ref}},
			{ObjectMeta: metav1.ObjectMeta{Name: "30050"}, Spec: v1alpha1.PortReservationSpec{ServiceRef: ref, PortNames: []string{"admin"}}},
		},
		AddressReservations: []v1alpha1.AddressReservation{
			{ObjectMeta: metav1.ObjectMeta{Name: "10.96.0.7"}, Spec: v1alpha1.AddressReservationSpec{Address: "10.96.0.7", ServiceRef: ref}},
			{ObjectMeta: metav1.ObjectMeta{Name: "198.51.100.1"}, Spec: v1alpha1.AddressReservationSpec{Address: "198.51.100.1", ServiceRef: ref}},
		},
		Claims:     []coordinationv1.Lease{lease},
		Namespaces: map[string]labels.Set{"shop": {}, "lab": {}},
	}
	return inv.Index()
}

func ask(text string) Answer {
	question, err := Parse(text, "here")
	if err != nil {
		panic(err)
	}
	x := scene()
	return New(x, audit.Run(x, now)).Number(question.Number)
}

func TestWhoseANumberIs(t *testing.T) {
	for text, tc := range map[string]struct {
		state   State
		holders []string // NAMESPACE/NAME FIELD SINCE-HOUR OF
		pools   []string
		holding Holding
		free    string
		finding audit.Kind
	}{
		"30010":        {state: Held, holders: []string{"shop/web spec.ports[0].nodePort http 80/TCP 07:00 Service"}, free: "30000-30009, 30012-30019, 30021-30029"},
		"30011":        {state: Held, holders: []string{"shop/web spec.ports[1].nodePort dns 53/UDP, dns-tcp 53/TCP 07:00 Service"}, holding: ByService, free: "30000-30009, 30012-30019, 30021-30029"},
		"30020":        {state: Held, holders: []string{"shop/web spec.healthCheckNodePort - 07:00 Service"}, free: "30012-30019, 30021-30029, 30031-30039"},
		"30030":        {state: Conflict, holders: []string{"lab/cart spec.ports[0].nodePort 80/TCP 10:00 Service", "shop/cart spec.ports[0].nodePort 80/TCP 11:00 Service"}, free: "30021-30029, 30031-30039, 30041-30049", finding: audit.NumberHeldTwice},
		"30040":        {state: Claimed, free: "30031-30039, 30041-30049, 30051-30059"},
		"30050":        {state: Conflict, holding: ByNothing, free: "30041-30049, 30051-30059, 30076-30099", finding: audit.ReservationNotHeld},
		"30070":        {state: Reserved, pools: []string{"team-a"}, holding: ByPlaceholder, free: "30060-30069, 30071-30075"},
		"30061":        {state: Free, pools: []string{"team-a"}, free: "30060-30069, 30071-30075"},
		"30099":        {state: Free, free: "30041-30049, 30051-30059, 30076-30099"},
		"8080":         {state: Outside, free: "30000-30009, 30012-30019, 30021-30029"},
		"10.96.0.10":   {state: Held, holders: []string{"shop/web spec.clusterIPs[0] http 80/TCP, dns 53/UDP, dns-tcp 53/TCP 07:00 Service"}, free: "10.96.0.8-10.96.0.9, 10.96.0.13-10.96.0.19, 10.96.0.21-10.96.0.254"},
		"fd00::10":     {state: Held, holders: []string{"shop/web spec.clusterIPs[1] http 80/TCP, dns 53/UDP, dns-tcp 53/TCP 09:00 IPAddress"}, free: "fd00::1-fd00::f, fd00::11-fd00::ffff"},
		"10.96.0.7":    {state: Reserved, holding: ByPlaceholder, free: "10.96.0.1-10.96.0.6, 10.96.0.8-10.96.0.9, 10.96.0.13-10.96.0.19"},
		"10.96.0.20":   {state: Kept, free: "10.96.0.8-10.96.0.9, 10.96.0.13-10.96.0.19, 10.96.0.21-10.96.0.254"},
		"192.0.2.1":    {state: Held, holders: []string{"shop/web spec.externalIPs[0] http 80/TCP, dns 53/UDP, dns-tcp 53/TCP 07:00 Service"}},
		"198.51.100.1": {state: Held, holders: []string{"shop/web status.loadBalancer.ingress[0].ip http 80/TCP, dns 53/UDP, dns-tcp 53/TCP 07:00 Service"}, pools: []string{"edge"}, holding: ByService, free: "198.51.100.0, 198.51.100.2-198.51.100.3"},
		"203.0.113.1":  {state: Outside},
	} {
		t.Run(text, func(t *testing.T) {
			answer := ask(text)
			if answer.State != tc.state {
				t.Errorf("it is %s, want %s (conflicts %v)", answer.State, tc.state, answer.Conflicts)
			}
			var holders, pools []string
			for _, h := range answer.Holders {
				holders = append(holders, strings.Join([]string{h.Service().String(), h.Field, h.ports(), h.Since.Format("15:04"), h.SinceOf}, " "))
			}
			for _, p := range answer.Pools {
				pools = append(pools, p.Name)
			}
			var holding Holding
			if answer.Reservation != nil {
				holding = answer.Reservation.Holding
			}
			var finding audit.Kind
			if len(answer.Conflicts) > 0 {
				finding = answer.Conflicts[0].Kind
			}
			for what, diff := range map[string]string{
				"holders": cmp.Diff(tc.holders, holders), "pools": cmp.Diff(tc.pools, pools), "reservation": cmp.Diff(tc.holding, holding),
				"free": cmp.Diff(tc.free, strings.Join(answer.FreeNearby, ", ")), "finding": cmp.Diff(tc.finding, finding),
			} {
				if diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}

func TestWhichNodeAnnouncesAnAddress(t *testing.T) {
	x := scene()
	x.AnnouncedBy = map[netip.Addr]string{netip.MustParseAddr("198.51.100.1"): "node-2"}
	for text, want := range map[string]bool{"198.51.100.1": true, "198.51.100.2": false, "30010": false} {
		question, err := Parse(text, "here")
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := New(x, audit.Report{}).Number(question.Number).Print(&out, now, false); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "announced by  node-2"); got != want {
			t.Errorf("%s is announced: %v, want %v:\n%s", text, got, want, out.String())
		}
	}
}

func TestNoNodeAnnouncesAnAddress(t *testing.T) {
	x := scene()
	x.Unannounced = map[netip.Addr]time.Time{netip.MustParseAddr("198.51.100.1"): now}
	question, err := Parse("198.51.100.1", "here")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := New(x, audit.Report{}).Number(question.Number).Print(&out, now, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "announced by  no node") {
		t.Errorf("it is not said that no node answers:\n%s", out.String())
	}
}

func TestWhatNobodyGives(t *testing.T) {
	inv := scene().Inventory
	inv.PortPools[0].Spec.Ranges = append(inv.PortPools[0].Spec.Ranges, "100-200")
	inv.AddressPools = append(inv.AddressPools, v1alpha1.AddressPool{
		ObjectMeta: metav1.ObjectMeta{Name: "out"}, Spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.97.0.0/24"}},
	})
	headless := inv.Services[1].DeepCopy()
	headless.Name, headless.Spec.Type, headless.Spec.ClusterIP, headless.Spec.ClusterIPs = "headless", corev1.ServiceTypeClusterIP, "None", []string{"None"}
	headless.Spec.ExternalIPs, headless.Spec.Ports = []string{"203.0.113.9"}, []corev1.ServicePort{{Port: 80}}
	inv.Services = append(inv.Services, *headless)
	state := func(n allocator.Number) State {
		x := inv.Index()
		answer := New(x, audit.Report{}).Number(n)
		var out strings.Builder
		if err := answer.Print(&out, now, false); err != nil {
			t.Fatal(err)
		}
		if says := strings.Contains(out.String(), "which gives it to nobody"); says != (answer.State == Outside && len(answer.Pools) > 0) {
			t.Errorf("it is %s, and says:\n%s", answer.State, out.String())
		}
		return answer.State
	}
	port, ip := allocator.PortNumber(150), allocator.AddrNumber(netip.MustParseAddr("10.97.0.1"))
	for n, want := range map[allocator.Number]State{
		port: Outside, ip: Outside, allocator.PortNumber(30061): Free, allocator.AddrNumber(netip.MustParseAddr("198.51.100.2")): Free,
		allocator.AddrNumber(netip.MustParseAddr("203.0.113.9")): Outside,
	} {
		if got := state(n); got != want {
			t.Errorf("%s is %s, want %s", n, got, want)
		}
	}
	inv.NodePorts.From = inventory.Assumed
	inv.Unread = []inventory.Unread{{Kind: inventory.ServiceCIDRs}}
	for _, n := range []allocator.Number{port, ip} {
		if got := state(n); got != Free {
			t.Errorf("%s is %s where the range is not known", n, got)
		}
	}
}

func TestNoNumberIsFreeForWhoDoesNotSeeAllServices(t *testing.T) {
	inv := scene().Inventory
	inv.Unread = []inventory.Unread{{Kind: inventory.Services, Reason: inventory.Forbidden, Message: "you may not list Services"}}
	x := inv.Index()
	answer, err := New(x, audit.Run(x, now)).ServiceNumbers(types.NamespacedName{Namespace: "shop", Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range answer.Numbers {
		if len(n.FreeNearby) > 0 {
			t.Errorf("beside %s it calls %v free", n.Number, n.FreeNearby)
		}
	}
	if len(answer.NotRead) != 1 || len(answer.Numbers) == 0 {
		t.Errorf("%d numbers, not read %v", len(answer.Numbers), answer.NotRead)
	}
}

func TestWhoDoesNotSeeAllServicesIsToldWhatIsKnown(t *testing.T) {
	inv := scene().Inventory
	inv.Services = inv.Services[:1] // shop/web
	inv.Unread = []inventory.Unread{{Kind: inventory.Services, Reason: inventory.Forbidden, Message: "you may not list Services"}}
	x := inv.Index()
	for text, want := range map[string]State{
		"30010": Held, "10.96.0.10": Held, "30030": Unknown, "30000": Unknown, "30040": Unknown, "30050": Unknown, "30070": Unknown, "8080": Unknown,
		"10.96.0.7": Reserved, "10.96.0.20": Kept, "10.96.0.99": Unknown, "8.8.8.8": Unknown,
	} {
		question, err := Parse(text, "here")
		if err != nil {
			t.Fatal(err)
		}
		answer := New(x, audit.Run(x, now)).Number(question.Number)
		if answer.State != want {
			t.Errorf("%s is %s, want %s", text, answer.State, want)
		}
		var out strings.Builder
		if err := answer.Print(&out, now, false); err != nil || strings.Contains(out.String(), "is held by no Service that you may list") != (want == Unknown) {
			t.Errorf("%v, it says of %s, which is %s:\n%s", err, text, want, out.String())
		}
	}
	for number, want := range map[string]Holding{"30011": ByService, "30050": NotKnown, "30070": NotKnown, "10.96.0.7": ByPlaceholder} {
		question, _ := Parse(number, "here")
		if got := New(x, audit.Run(x, now)).Number(question.Number).Reservation.Holding; got != want {
			t.Errorf("%s is held for its reservation by %s, want %s", number, got, want)
		}
	}
}

func TestWhatAServiceHas(t *testing.T) {
	x := scene()
	asker := New(x, audit.Run(x, now))
	web, err := asker.ServiceNumbers(types.NamespacedName{Namespace: "shop", Name: "web"})
	if err != nil {
		t.Fatal(err)
	}
	var numbers, reserved []string
	for _, a := range web.Numbers {
		numbers = append(numbers, a.Number)
	}
	for _, r := range web.Reservations {
		reserved = append(reserved, r.Number)
	}
	if diff := cmp.Diff([]string{"10.96.0.10", "fd00::10", "30010", "30011", "30020", "192.0.2.1", "198.51.100.1"}, numbers); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"30050", "10.96.0.7"}, reserved); diff != "" {
		t.Errorf("reservations not held (-want +got):\n%s", diff)
	}
	if web.Conflict() || web.Retain != "24h" {
		t.Errorf("conflict %v, retain %q", web.Conflict(), web.Retain)
	}
	if cart, err := asker.ServiceNumbers(types.NamespacedName{Namespace: "shop", Name: "cart"}); err != nil || !cart.Conflict() {
		t.Errorf("error %v, conflict %v of a Service whose port another has", err, cart.Conflict())
	}
}

func TestAServiceThatDoesNotExist(t *testing.T) {
	x := scene()
	x.Inventory.PortReservations[2].Spec.ServiceRef.Name = "gone"
	x = x.Inventory.Index()
	asker := New(x, audit.Run(x, now))
	gone, err := asker.ServiceNumbers(types.NamespacedName{Namespace: "shop", Name: "gone"})
	if err != nil || gone.Exists || len(gone.Reservations) == 0 {
		t.Errorf("error %v, %+v", err, gone)
	}
	for key, want := range map[types.NamespacedName]string{
		{Namespace: "lab", Name: "web"}:    "there is no Service web in namespace lab, but one in shop: ask for shop/web",
		{Namespace: "lab", Name: "nobody"}: "there is no Service lab/nobody",
	} {
		if _, err := asker.ServiceNumbers(key); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestAnswersForPeople(t *testing.T) {
	print := func(text string, wide bool) string {
		var out strings.Builder
		if err := ask(text).Print(&out, now, wide); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for text, want := range map[string][]string{
		"30030": {
			"30030 is in conflict", "SERVICE FIELD PORTS SINCE", "lab/cart spec.ports[0].nodePort 80/TCP 120m", "range 30000-30099, NodePorts",
			"free nearby 30021-30029, 30031-30039, 30041-30049", "error NumberHeldTwice: port 30030 is held by 2 Services", "-> lab/cart is the oldest and keeps it",
		},
		"30040":        {"30040 is claimed by a request under way", "claim for shop/new, 2s ago"},
		"30061":        {"30061 is free", "pool PortPool team-a, for namespaces with team=a"},
		"30070":        {"30070 is reserved for no Service", "PortReservation 30070 for no Service, held by a placeholder"},
		"10.96.0.7":    {"10.96.0.7 is reserved for shop/web", "range 10.96.0.0/24 of ServiceCIDR kubernetes"},
		"10.96.0.20":   {"10.96.0.20 is kept by gateways.example.com shop/gate"},
		"198.51.100.1": {"pool AddressPool edge (LoadBalancer), for all namespaces", "held by its Service"},
		"203.0.113.1":  {"203.0.113.1 is in no range or pool, and no Service has it"},
	} {
		got := strings.Join(strings.Fields(print(text, false)), " ")
		for _, line := range want {
			if !strings.Contains(got, line) {
				t.Errorf("%s: no %q in\n%s", text, line, print(text, false))
			}
		}
	}
	if wide := print("fd00::10", true); !strings.Contains(wide, "2026-11-21T09:00:00Z  IPAddress") {
		t.Errorf("wide is\n%s", wide)
	}
}

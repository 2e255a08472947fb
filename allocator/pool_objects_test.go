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

package allocator

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"switchyard.dev/switchyard/api/v1alpha1"
)

func TestPortPoolsAreRead(t *testing.T) {
	cases := map[string]struct {
		spec      v1alpha1.PortPoolSpec
		want      string
		wantError string
	}{
		"as little as can be written": {
			spec: v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30080"}},
			want: "[30080-30080] reserved [] auto true",
		},
		"with all that decides": {
			spec: v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30100-30199", "1-65535"}, Reserved: []v1alpha1.PortRange{"30100"}, AutoAssign: new(false)},
			want: "[30100-30199 1-65535] reserved [30100-30100] auto false",
		},
		"without ports": {
			wantError: "reading PortPool p: spec.ranges: it is empty: write a port such as 30080 or a range such as 30100-30199",
		},
		"the wrong way round": {
			spec:      v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30080", "30199-30100"}},
			wantError: `reading PortPool p: spec.ranges[1]: "30199-30100" is no range of ports: write FIRST-LAST or one port, from 1 to 65535`,
		},
		"too large": {
			spec:      v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30080"}, Reserved: []v1alpha1.PortRange{"65536"}},
			wantError: `reading PortPool p: spec.reserved[0]: "65536" is no range of ports: write FIRST-LAST or one port, from 1 to 65535`,
		},
		"a selector that is none": {
			spec: v1alpha1.PortPoolSpec{Ranges: []v1alpha1.PortRange{"30080"}, NamespaceSelector: &metav1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Has"}},
			}},
			wantError: `reading PortPool p: spec.namespaceSelector: "Has" is not a valid label selector operator: write it as for kubectl get -l`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pool, err := PortPoolOf(&v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: tc.spec})
			if diff := cmp.Diff(tc.wantError, textOf(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got := fmt.Sprint(pool.Ranges, " reserved ", pool.Reserved, " auto ", pool.AutoAssign); err == nil && got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if err == nil && !pool.Selects(labels.Set{"any": "namespace"}) {
				t.Error("without a selector all namespaces are selected")
			}
		})
	}
}

func TestAddressPoolsAreRead(t *testing.T) {
	cases := map[string]struct {
		spec      v1alpha1.AddressPoolSpec
		want      string
		wantError string
	}{
		"a CIDR, a range and an address": {
			spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.96.8.0/30", "fd00::1-fd00::9", "192.0.2.1"}},
			want: "[10.96.8.0-10.96.8.3 fd00::1-fd00::9 192.0.2.1] Namespace",
		},
		"how they are shared": {
			spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseLoadBalancer, Addresses: []v1alpha1.AddressRange{"2001:db8::/126"}, Sharing: v1alpha1.SharingNever},
			want: "[2001:db8::-2001:db8::3] Never",
		},
		"host bits": {
			spec:      v1alpha1.AddressPoolSpec{Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.96.8.1/24"}},
			wantError: `reading AddressPool p: spec.addresses[0]: "10.96.8.1/24" has bits after the prefix: write 10.96.8.0/24`,
		},
		"two families": {
			spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseClusterIP, Addresses: []v1alpha1.AddressRange{"10.0.0.1-fd00::1"}},
			wantError: `reading AddressPool p: spec.addresses[0]: "10.0.0.1-fd00::1" is no range of addresses: ` +
				"write a CIDR, FIRST-LAST of one family with the smaller first, or one address",
		},
		"no use": {
			spec:      v1alpha1.AddressPoolSpec{Use: "NodePort", Addresses: []v1alpha1.AddressRange{"10.0.0.1"}},
			wantError: `reading AddressPool p: spec.use: "NodePort" is no use of an address: write ClusterIP, LoadBalancer or ExternalIP`,
		},
		"no way to share": {
			spec:      v1alpha1.AddressPoolSpec{Use: v1alpha1.UseLoadBalancer, Addresses: []v1alpha1.AddressRange{"10.0.0.1"}, Sharing: "Always"},
			wantError: `reading AddressPool p: spec.sharing: "Always" is no way to share an address: write Never, Namespace or Cluster`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			pool, err := AddrPoolOf(&v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: tc.spec})
			if diff := cmp.Diff(tc.wantError, textOf(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got := fmt.Sprint(pool.Ranges, " ", pool.Sharing); err == nil && got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestReservationsAreRead(t *testing.T) {
	web := &v1alpha1.ServiceReference{Namespace: "default", Name: "web"}
	port := func(name string, spec v1alpha1.PortReservationSpec) func() (Reservation, error) {
		return func() (Reservation, error) {
			return ReservationOfPort(&v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})
		}
	}
	address := func(name, address string, ref *v1alpha1.ServiceReference) func() (Reservation, error) {
		return func() (Reservation, error) {
			return ReservationOfAddress(&v1alpha1.AddressReservation{
				ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.AddressReservationSpec{Address: address, ServiceRef: ref},
			})
		}
	}
	cases := map[string]struct {
		read      func() (Reservation, error)
		want      Reservation
		wantError string
	}{
		"a port for one port of a Service": {
			read: port("30080", v1alpha1.PortReservationSpec{ServiceRef: web, PortNames: []string{"http"}}),
			want: Reservation{Number: PortNumber(30080), Object: "30080", Service: keyOf(nodePortService("web")), PortNames: []string{"http"}},
		},
		"a port for nobody": {
			read: port("30080", v1alpha1.PortReservationSpec{}), want: Reservation{Number: PortNumber(30080), Object: "30080"},
		},
		"a name that is no port": {
			read:      port("web", v1alpha1.PortReservationSpec{}),
			wantError: "reading PortReservation web: the name is no port: name it after the port it reserves, 1 to 65535",
		},
		"a name that is a port in another way": {
			read:      port("030080", v1alpha1.PortReservationSpec{}),
			wantError: "reading PortReservation 030080: the name is no port: name it after the port it reserves, 1 to 65535",
		},
		"half a Service": {
			read:      port("30080", v1alpha1.PortReservationSpec{ServiceRef: &v1alpha1.ServiceReference{Name: "web"}}),
			wantError: "reading PortReservation 30080: spec.serviceRef: it needs a namespace and a name; without serviceRef nobody gets the number",
		},
		"an IPv4 address": {
			read: address("10.96.0.7", "10.96.0.7", web),
			want: Reservation{Number: AddrNumber(netip.MustParseAddr("10.96.0.7")), Object: "10.96.0.7", Service: keyOf(nodePortService("web"))},
		},
		"an IPv6 address": {
			read: address("fd00-0000-0000-0000-0000-0000-0000-0007", "fd00::7", nil),
			want: Reservation{Number: AddrNumber(netip.MustParseAddr("fd00::7")), Object: "fd00-0000-0000-0000-0000-0000-0000-0007"},
		},
		"a name of another address": {
			read:      address("10.96.0.8", "10.96.0.7", nil),
			wantError: "reading AddressReservation 10.96.0.8: it reserves 10.96.0.7, so its name must be 10.96.0.7",
		},
		"no address": {
			read:      address("x", "fe80::1%eth0", nil),
			wantError: `reading AddressReservation x: spec.address: "fe80::1%eth0" is no address: write 192.0.2.1 or 2001:db8::1`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := tc.read()
			if diff := cmp.Diff(tc.wantError, textOf(err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, got, sameAddr); diff != "" {
				t.Errorf("reservation (-want +got):\n%s", diff)
			}
		})
	}
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

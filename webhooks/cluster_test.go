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

package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// collected registers SetupIndexes' indexes with a fake client.
type collected struct{ builder *fake.ClientBuilder }

func (c collected) IndexField(_ context.Context, object client.Object, field string, keys client.IndexerFunc) error {
	c.builder.WithIndex(object, field, keys)
	return nil
}

// cluster is what a cache holds and what is there.
func cluster(t *testing.T, cached, live []client.Object) *Cluster {
	t.Helper()
	builder := fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(cached...).WithStatusSubresource(&corev1.Service{})
	if err := SetupIndexes(t.Context(), collected{builder}); err != nil {
		t.Fatal(err)
	}
	return &Cluster{
		Cached: builder.Build(),
		Live:   fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(live...).Build(),
	}
}

// testScheme has Kubernetes' kinds and our own.
func testScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	both := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(both), v1alpha1.AddToScheme(both)); err != nil {
		t.Fatal(err)
	}
	return both
}

func names[T client.Object](objects []T) []string {
	var names []string
	for _, object := range objects {
		names = append(names, object.GetName())
	}
	return names
}

func everyService(*corev1.Service) bool { return true }

func TestAHolderFromTheCacheIsConfirmed(t *testing.T) {
	held := netip.MustParseAddr("203.0.113.7")
	c := cluster(t,
		[]client.Object{service("still-there", external("203.0.113.7")), service("deleted", external("203.0.113.7")),
			service("changed", external("203.0.113.7")), service("unrelated", external("203.0.113.8"))},
		[]client.Object{service("still-there", external("203.0.113.7")), service("changed")})

	got, err := c.ServicesByVIP(t.Context(), held, everyService)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"still-there"}, names(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOfManyHoldersAFewAreReadAndNamed(t *testing.T) {
	var holders []client.Object
	for i := range 5 * maxFindings {
		holders = append(holders, service(fmt.Sprintf("holder-%d", i), external("203.0.113.7")))
	}
	c := cluster(t, append(holders, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}), holders)
	got, err := c.ServicesByVIP(t.Context(), netip.MustParseAddr("203.0.113.7"), everyService)
	if err != nil || len(got) != maxFindings {
		t.Errorf("read %d Services (%v), want %d", len(got), err, maxFindings)
	}
	asked := service("holder-0", external("203.0.113.7"))
	verdict, err := ValidateService(t.Context(), c, Severities{RuleExternalIPInUse.ID: Warn}, ServiceChange{New: asked})
	if err != nil || len(verdict.Warnings) != maxFindings {
		t.Errorf("%d warnings (%v), want %d", len(verdict.Warnings), err, maxFindings)
	}
}

func TestAddressesAreFoundHoweverTheyAreWritten(t *testing.T) {
	svc := service("web", clusterIP("10.96.0.5", "FD00:96:0::5"))
	c := cluster(t, []client.Object{svc}, []client.Object{svc})
	for _, addr := range []string{"10.96.0.5", "fd00:96::5"} {
		got, err := c.ServicesByClusterIP(t.Context(), netip.MustParseAddr(addr))
		if err != nil || len(got) != 1 {
			t.Errorf("%s: got %v and %v", addr, names(got), err)
		}
	}
}

func TestPodsMatchTheWholeSelector(t *testing.T) {
	canary, elsewhere := pod("canary"), pod("elsewhere")
	canary.Labels["track"] = "canary"
	elsewhere.Namespace = "other"
	c := cluster(t, []client.Object{pod("stable"), canary, elsewhere}, nil)
	for want, selector := range map[string]map[string]string{
		"canary,stable": {"app": "web"},
		"canary":        {"app": "web", "track": "canary"},
		"":              {},
	} {
		got, err := c.PodsBySelector(t.Context(), "default", selector)
		if err != nil {
			t.Fatal(err)
		}
		joined := strings.Join(names(got), ",")
		if joined != want {
			t.Errorf("%v: got %q, want %q", selector, joined, want)
		}
	}
}

func TestServiceCIDRsOfBothFamilies(t *testing.T) {
	object := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"},
		Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/16", "fd00:96::/112"}}}
	got, err := cluster(t, []client.Object{object}, nil).ServiceCIDRs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []ServiceCIDR{{"kubernetes", netip.MustParsePrefix("10.96.0.0/16")}, {"kubernetes", netip.MustParsePrefix("fd00:96::/112")}}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheAPIServerIsWhereItsSliceSays(t *testing.T) {
	own := slice(6443, "192.0.2.1", "192.0.2.2")
	own.Namespace, own.Name = "default", "kubernetes"
	own.Labels = map[string]string{"kubernetes.io/service-name": "kubernetes"}
	got, err := cluster(t, nil, []client.Object{own}).APIServers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:6443"), netip.MustParseAddrPort("192.0.2.2:6443")}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheAPIServersAreReadFromTheServersMemory(t *testing.T) {
	var version string
	live := fake.NewClientBuilder().WithScheme(testScheme(t)).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			version = (&client.ListOptions{}).ApplyOptions(options).AsListOptions().ResourceVersion
			return c.List(ctx, list, options...)
		},
	}).Build()
	if _, err := (&Cluster{Live: live}).APIServers(t.Context()); err != nil || version != "0" {
		t.Errorf("error %v, resource version %q, want 0: any other list waits for up to 100 ms", err, version)
	}
}

func TestNodesAndPodsAreFoundByWhatIsTheirs(t *testing.T) {
	here := []client.Object{
		node("node-1", "192.0.2.1", "10.244.1.0/24", "fd00:244:1::/64"), node("node-2", "192.0.2.2", "10.244.2.0/23"),
		at(pod("db"), "shop", "10.244.1.5", "fd00:244:1::5"), hostPod("proxy", corev1.ContainerPort{HostPort: 30080}),
	}
	c := cluster(t, append(here, node("gone", "192.0.2.3", "10.244.9.0/24"), at(pod("over"), "shop", "10.244.1.6")), here)
	for name, tc := range map[string]struct {
		look func() ([]string, error)
		want string
	}{
		"a node's address": {func() ([]string, error) {
			got, err := c.NodesByAddress(t.Context(), netip.MustParseAddr("192.0.2.2"))
			return names(got), err
		}, "node-2"},
		"a node that is gone": {func() ([]string, error) {
			got, err := c.NodesByAddress(t.Context(), netip.MustParseAddr("192.0.2.3"))
			return names(got), err
		}, ""},
		"a podCIDR": {func() ([]string, error) {
			got, err := c.NodesByPodAddress(t.Context(), netip.MustParseAddr("10.244.3.9"))
			return names(got), err
		}, "node-2"},
		"a podCIDR of IPv6": {func() ([]string, error) {
			got, err := c.NodesByPodAddress(t.Context(), netip.MustParseAddr("fd00:244:1::9"))
			return names(got), err
		}, "node-1"},
		"beside the podCIDRs": {func() ([]string, error) {
			got, err := c.NodesByPodAddress(t.Context(), netip.MustParseAddr("10.244.4.1"))
			return names(got), err
		}, ""},
		"a podCIDR that is gone": {func() ([]string, error) {
			got, err := c.NodesByPodAddress(t.Context(), netip.MustParseAddr("10.244.9.1"))
			return names(got), err
		}, ""},
		"the kubelet's port": {func() ([]string, error) { got, err := c.NodesByKubeletPort(t.Context(), 10250); return names(got), err }, "node-1,node-2"},
		"a pod's address": {func() ([]string, error) {
			got, err := c.PodsByIP(t.Context(), netip.MustParseAddr("fd00:244:1::5"))
			return names(got), err
		}, "db"},
		"the address of a gone pod": {func() ([]string, error) {
			got, err := c.PodsByIP(t.Context(), netip.MustParseAddr("10.244.1.6"))
			return names(got), err
		}, ""},
		"a hostPort": {func() ([]string, error) {
			got, err := c.PodsByHostPort(t.Context(), PortKey{30080, corev1.ProtocolTCP})
			return names(got), err
		}, "proxy"},
		"its other protocol": {func() ([]string, error) {
			got, err := c.PodsByHostPort(t.Context(), PortKey{30080, corev1.ProtocolUDP})
			return names(got), err
		}, ""},
	} {
		got, err := tc.look()
		if err != nil || strings.Join(got, ",") != tc.want {
			t.Errorf("%s: got %q and %v, want %q", name, got, err, tc.want)
		}
	}
}

func TestServicesAreFoundByNameKeyAndClass(t *testing.T) {
	served := service("served", ingress("198.51.100.1"), func(svc *corev1.Service) {
		svc.Spec.LoadBalancerClass = new("example.com/lb")
		svc.Annotations = map[string]string{v1alpha1.SharingKeyAnnotation: "k"}
	})
	waiting := service("waiting", ingress(), func(svc *corev1.Service) { svc.Spec.LoadBalancerClass = new("example.com/none") })
	c := cluster(t, []client.Object{served, waiting}, []client.Object{served})
	c.LoadBalancerClasses = []string{"example.com/configured"}
	for class, want := range map[string]bool{"example.com/lb": true, "example.com/none": false, "example.com/configured": true} {
		if got, err := c.LoadBalancerClassServed(t.Context(), class); err != nil || got != want {
			t.Errorf("%s: got %v and %v", class, got, err)
		}
	}
	if got, err := c.ServicesBySharingKey(t.Context(), "k"); err != nil || strings.Join(names(got), ",") != "served" {
		t.Errorf("by key: got %v and %v", names(got), err)
	}
	for name, want := range map[string]bool{"served": true, "waiting": false, "none": false} {
		if got, err := c.ServiceByName(t.Context(), types.NamespacedName{Namespace: "default", Name: name}); err != nil || (got != nil) != want {
			t.Errorf("by name %s: got %v and %v", name, got, err)
		}
	}
}

func TestPoolsAreReadAgainWhenTheyChange(t *testing.T) {
	pool := &v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "public"},
		Spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseExternalIP, Addresses: []v1alpha1.AddressRange{"203.0.113.0/24"}}}
	broken := &v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "broken"},
		Spec: v1alpha1.AddressPoolSpec{Use: v1alpha1.UseLoadBalancer, Addresses: []v1alpha1.AddressRange{"nonsense"}}}
	kept := &v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "30080"},
		Spec: v1alpha1.PortReservationSpec{ServiceRef: &v1alpha1.ServiceReference{Namespace: "a", Name: "web"}}}
	c := cluster(t, []client.Object{pool, broken, kept}, []client.Object{kept})
	first, err := c.Pools(t.Context())
	if err != nil || len(first.AddrPoolsOf(netip.MustParseAddr("203.0.113.9"))) != 1 || !first.Uses[v1alpha1.UseLoadBalancer] {
		t.Fatalf("got %+v and %v", first, err)
	}
	if again, err := c.Pools(t.Context()); err != nil || again != first {
		t.Errorf("read again though nothing changed, %v", err)
	}
	pool.Spec.Addresses = []v1alpha1.AddressRange{"203.0.113.0/28"}
	if err := c.Cached.(client.Client).Update(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.Pools(t.Context()); err != nil || len(changed.AddrPoolsOf(netip.MustParseAddr("203.0.113.99"))) != 0 {
		t.Errorf("the old pool is still used, %v", err)
	}
	for port, want := range map[int32]bool{30080: true, 30081: false} {
		if got, err := c.ReservationOf(t.Context(), allocator.PortNumber(port)); err != nil || (got != nil) != want {
			t.Errorf("reservation of %d: got %v and %v", port, got, err)
		}
	}
}

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
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
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
	builder := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(cached...).WithStatusSubresource(&corev1.Service{})
	if err := SetupIndexes(t.Context(), collected{builder}); err != nil {
		t.Fatal(err)
	}
	return &Cluster{
		Cached: builder.Build(),
		Live:   fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(live...).Build(),
	}
}

func names[T client.Object](objects []T) []string {
	var names []string
	for _, object := range objects {
		names = append(names, object.GetName())
	}
	return names
}

func TestAHolderFromTheCacheIsConfirmed(t *testing.T) {
	held := Frontend{netip.MustParseAddr("203.0.113.7"), 80, corev1.ProtocolTCP}
	c := cluster(t,
		[]client.Object{service("still-there", external("203.0.113.7")), service("deleted", external("203.0.113.7")),
			service("changed", external("203.0.113.7")), service("unrelated", external("203.0.113.8"))},
		[]client.Object{service("still-there", external("203.0.113.7")), service("changed")})

	got, err := c.ServicesByFrontend(t.Context(), held)
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
	c := cluster(t, holders, holders)
	got, err := c.ServicesByFrontend(t.Context(), Frontend{netip.MustParseAddr("203.0.113.7"), 80, corev1.ProtocolTCP})
	if err != nil || len(got) != maxFindings+1 {
		t.Errorf("read %d Services (%v), want %d", len(got), err, maxFindings+1)
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

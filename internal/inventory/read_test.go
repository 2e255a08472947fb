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

package inventory

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/announce/speaker"
)

const system = "switchyard-system"

// server is a fake API server that answers lists with errors, by their types.
func server(t *testing.T, fail func(client.ObjectList) error, objects ...client.Object) client.Client {
	t.Helper()
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithReturnManagedFields().WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if fail != nil {
				if err := fail(list); err != nil {
					return err
				}
			}
			return c.List(ctx, list, options...)
		},
	}).Build()
}

func forbidden(resource string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no"))
}

func TestReadTakesAllKindsAndDropsWhatIsLarge(t *testing.T) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: "a", Name: "web",
		Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}", v1alpha1.RetainAnnotation: "24h"},
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte("{}")},
		}},
	}}
	holder := "a/web"
	lease := func(namespace, name string, labels map[string]string) *coordinationv1.Lease {
		return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder}}
	}
	isClaim := map[string]string{allocator.ClaimLabel: "nodeport"}
	inv, err := Read(t.Context(), server(t, nil,
		service, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"team": "a"}}},
		&networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "10.96.0.10"}},
		&networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}},
		&v1alpha1.PortPool{ObjectMeta: metav1.ObjectMeta{Name: "p"}}, &v1alpha1.AddressPool{ObjectMeta: metav1.ObjectMeta{Name: "p"}},
		&v1alpha1.PortReservation{ObjectMeta: metav1.ObjectMeta{Name: "30080"}},
		&v1alpha1.AddressReservation{ObjectMeta: metav1.ObjectMeta{Name: "10.96.0.7"}},
		lease(system, "nodeport-30080", isClaim), lease("a", "nodeport-30081", isClaim), lease(system, "leader", nil),
		lease(system, "lb-192.0.2.7", nil), lease("a", "lb-192.0.2.8", nil),
	), system, NodePorts{Span: allocator.DefaultNodePorts})
	if err != nil {
		t.Fatal(err)
	}
	counts := []int{
		len(inv.Services), len(inv.IPAddresses), len(inv.ServiceCIDRs), len(inv.PortPools), len(inv.AddressPools),
		len(inv.PortReservations), len(inv.AddressReservations), len(inv.Claims), len(inv.Namespaces), len(inv.Unread),
	}
	if diff := cmp.Diff([]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 0}, counts); diff != "" {
		t.Errorf("objects of each kind (-want +got):\n%s", diff)
	}
	if got := inv.Services[0]; got.ManagedFields != nil || len(got.Annotations) != 1 || got.Annotations[v1alpha1.RetainAnnotation] != "24h" {
		t.Errorf("the Service is %+v", got.ObjectMeta)
	}
	if diff := cmp.Diff(labels.Set{"team": "a"}, inv.Namespaces["a"]); diff != "" {
		t.Errorf("labels of the namespace (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[netip.Addr]string{netip.MustParseAddr("192.0.2.7"): holder}, inv.AnnouncedBy, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("who answers for addresses (-want +got):\n%s", diff)
	}
	if inv.Claims[0].Name != "nodeport-30080" {
		t.Errorf("the claim is %s", inv.Claims[0].Name)
	}
}

func TestForWhichAddressesNoNodeAnswers(t *testing.T) {
	made := metav1.NewTime(time.Now().Truncate(time.Second))
	nobody := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "lb-192.0.2.7", CreationTimestamp: made}}
	node := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "speaker-n1", Labels: map[string]string{speaker.Label: "l2"}}}
	for name, tc := range map[string]struct {
		objects []client.Object
		want    bool
	}{
		"nodes announce addresses":        {[]client.Object{nobody, node}, true},
		"no node does, or in another way": {[]client.Object{nobody}, false},
	} {
		inv, err := Read(t.Context(), server(t, nil, tc.objects...), system, NodePorts{Span: allocator.DefaultNodePorts})
		if err != nil {
			t.Fatal(err)
		}
		given, is := inv.Unannounced[netip.MustParseAddr("192.0.2.7")]
		if is != tc.want || is && !given.Equal(made.Time) {
			t.Errorf("%s: no node answers for the address of %v: %v, want %v", name, given, is, tc.want)
		}
	}
}

func TestWhatCanNotBeReadIsNamed(t *testing.T) {
	inv, err := Read(t.Context(), server(t, func(list client.ObjectList) error {
		switch list.(type) {
		case *v1alpha1.PortPoolList:
			return &meta.NoKindMatchError{}
		case *networkingv1.IPAddressList:
			return forbidden("ipaddresses")
		}
		return nil
	}), system, NodePorts{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range inv.Unread {
		got = append(got, fmt.Sprintf("%s %s", u.Kind, u.Reason))
	}
	if diff := cmp.Diff([]string{"IPAddresses Forbidden", "PortPools NotServed"}, got); diff != "" {
		t.Errorf("not read (-want +got):\n%s", diff)
	}
	if !strings.Contains(inv.Unread[0].Message, "ask for a role") || !strings.Contains(inv.Unread[1].Message, "install Switchyard's CRDs") {
		t.Errorf("it says %v", inv.Unread)
	}
	if inv.Has(PortPools, Services) || !inv.Has(Services, Claims) {
		t.Error("Has is wrong about what was read")
	}
}

func TestErrorsOfReading(t *testing.T) {
	for name, tc := range map[string]struct {
		fail func(client.ObjectList) error
		want string
	}{
		"Services are forbidden": {
			fail: func(list client.ObjectList) error {
				if _, is := list.(*corev1.ServiceList); is {
					return forbidden("services")
				}
				return nil
			},
			want: "you may not list Services: ask for a role that can (services is forbidden",
		},
		"a pool can not be reached": {
			fail: func(list client.ObjectList) error {
				if _, is := list.(*v1alpha1.AddressPoolList); is {
					return errors.New("connection refused")
				}
				return nil
			},
			want: "listing AddressPools: connection refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Read(t.Context(), server(t, tc.fail), system, NodePorts{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestServicesOfANamespaceAreEnoughForOne(t *testing.T) {
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	tenant := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			var asked client.ListOptions
			if asked.ApplyOptions(options); asked.Namespace != "a" {
				return forbidden("things")
			}
			return c.List(ctx, list, options...)
		},
	}).WithObjects(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web"}}).Build()
	inv, err := Scope{Namespace: "a"}.Read(t.Context(), tenant, system, NodePorts{})
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Services) != 1 || inv.Has(Services) {
		t.Errorf("%d Services, not read: %v", len(inv.Services), inv.Unread)
	}
	if notes := strings.Join(Notes(inv.Unread), "\n"); !strings.Contains(notes, "you may not list Services of all namespaces, so only those of a count") {
		t.Errorf("it says\n%s", notes)
	}
	for namespace, want := range map[string]string{"": "you may not list Services: ask", "b": "you may not list Services, those of namespace b neither: ask"} {
		if _, err := (Scope{Namespace: namespace}).Read(t.Context(), tenant, system, NodePorts{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("namespace %q: error %v", namespace, err)
		}
	}
}

// A right that is withdrawn between two pages leaves nothing of the first: a Service
// would be there twice, and share its numbers with itself.
func TestListsThatFailInTheMiddleAreNotKept(t *testing.T) {
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	var listed atomic.Int32 // objects of first pages
	reader := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}},
		&networkingv1.IPAddress{ObjectMeta: metav1.ObjectMeta{Name: "10.96.0.10"}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "web"}, Status: corev1.PodStatus{PodIPs: []corev1.PodIP{{IP: "10.1.0.1"}}}},
	).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			o := client.ListOptions{}
			switch o.ApplyOptions(options); {
			case o.Namespace != "":
				return c.List(ctx, list, options...)
			case o.Continue != "":
				return forbidden("things")
			}
			err := c.List(ctx, list, options...)
			list.SetContinue("more")
			listed.Add(int32(meta.LenList(list)))
			return err
		},
	}).Build()
	inv, err := Scope{Namespace: "a", Endpoints: true}.Read(t.Context(), reader, system, NodePorts{})
	if err != nil {
		t.Fatal(err)
	}
	got := []int{int(listed.Load()), len(inv.Services), len(inv.IPAddresses), len(inv.Namespaces), len(inv.Endpoints.Pods)}
	if diff := cmp.Diff([]int{4, 1, 0, 0, 0}, got); diff != "" {
		t.Errorf("objects of first pages, and kept ones of each kind (-want +got):\n%s", diff)
	}
}

func TestPodsAreKnownByAddressesOfTheirOwn(t *testing.T) {
	pod := func(name string, edit func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name}}
		p.Status.PodIPs = []corev1.PodIP{{IP: "10.1.0.7"}, {IP: "fd00::7"}}
		edit(p)
		return p
	}
	c := server(t, nil, pod("runs", func(*corev1.Pod) {}), pod("is-over", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
		pod("failed", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), pod("node", func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
		&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "s"}})
	inv, err := Scope{Endpoints: true}.Read(t.Context(), c, system, NodePorts{})
	if err != nil {
		t.Fatal(err)
	}
	runs := []types.NamespacedName{{Namespace: "a", Name: "runs"}}
	want := map[netip.Addr][]types.NamespacedName{netip.MustParseAddr("10.1.0.7"): runs, netip.MustParseAddr("fd00::7"): runs}
	if diff := cmp.Diff(want, inv.Endpoints.Pods, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || len(inv.Endpoints.Slices) != 1 {
		t.Errorf("%d slices, pods (-want +got):\n%s", len(inv.Endpoints.Slices), diff)
	}
	if inv, err = Read(t.Context(), c, system, NodePorts{}); err != nil || len(inv.Endpoints.Slices)+len(inv.Endpoints.Pods) > 0 {
		t.Errorf("error %v, endpoints that nobody asked for: %v", err, inv.Endpoints)
	}
}

// paged answers lists of Services in pages; everything else is empty.
type paged struct {
	total int

	mu     sync.Mutex
	limits []int64
}

func (p *paged) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("nothing is read by name")
}

func (p *paged) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	services, is := list.(*corev1.ServiceList)
	if !is {
		return nil
	}
	var asked client.ListOptions
	asked.ApplyOptions(options)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits = append(p.limits, asked.Limit)
	first := 0
	if _, err := fmt.Sscan(asked.Continue, &first); asked.Continue != "" && err != nil {
		return err
	}
	for i := first; i < min(first+int(asked.Limit), p.total); i++ {
		services.Items = append(services.Items, corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("s", i)}})
	}
	if next := first + int(asked.Limit); next < p.total {
		services.Continue = fmt.Sprint(next)
	}
	return nil
}

func TestManyServicesComeInPages(t *testing.T) {
	many := &paged{total: 2*pageSize + 1}
	inv, err := Read(t.Context(), many, system, NodePorts{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{pageSize, pageSize, pageSize}, many.limits); diff != "" {
		t.Errorf("limits of the pages (-want +got):\n%s", diff)
	}
	names := map[string]bool{}
	for i := range inv.Services {
		names[inv.Services[i].Name] = true
	}
	if len(names) != many.total || len(inv.Services) != many.total {
		t.Errorf("%d Services of %d names, want %d", len(inv.Services), len(names), many.total)
	}
}

func TestWhereTheRangeIsKnownFrom(t *testing.T) {
	manager := func(args ...string) []client.Object {
		return []client.Object{&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "manager", Labels: map[string]string{"control-plane": "controller-manager"}},
			Spec:       appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Args: args}}}}},
		}}
	}
	small := func(from Source) NodePorts { return NodePorts{allocator.PortSpan{First: 20000, Last: 20100}, from} }
	unknown := NodePorts{allocator.DefaultNodePorts, Assumed}
	for name, tc := range map[string]struct {
		page    string
		objects []client.Object
		want    NodePorts
	}{
		"the server's page":             {page: `{"kind":"Flagz","flags":{"service-node-port-range":"20000-20100","v":"0"}}`, objects: manager(), want: small(FromServer)},
		"the server's page in words":    {page: "service-cluster-ip-range=10.0.0.0/24\nservice-node-port-range=20000-20100\n", want: small(FromServer)},
		"a page with another delimiter": {page: "service-node-port-range: 20000-20100\n", want: small(FromServer)},
		"a page without it":             {page: "v=2", want: unknown},
		"a page that makes no sense":    {page: "service-node-port-range=9-2", want: unknown},
		"the manager's flag":            {objects: manager("--leader-elect", "--service-node-port-range=20000-20100"), want: small(FromManager)},
		"the manager's flag as a word":  {objects: manager("--service-node-port-range", "20000+100", "--leader-elect"), want: small(FromManager)},
		"a manager without the flag":    {objects: manager("--leader-elect"), want: NodePorts{allocator.DefaultNodePorts, FromManager}},
		"a manager's flag of no sense":  {objects: manager("--service-node-port-range=$(RANGE)"), want: unknown},
		"neither":                       {want: unknown},
	} {
		t.Run(name, func(t *testing.T) {
			flagz := func(context.Context) ([]byte, error) {
				if tc.page == "" {
					return nil, forbidden("flagz")
				}
				return []byte(tc.page), nil
			}
			if got := LearnNodePorts(t.Context(), flagz, server(t, nil, tc.objects...), system); got != tc.want {
				t.Errorf("the range is %v, want %v", got, tc.want)
			}
		})
	}
}

func TestNotesSayOnceWhatKindsHaveInCommon(t *testing.T) {
	forbidden, _ := explain(PortPools, apierrors.NewForbidden(schema.GroupResource{}, "", nil))
	again, _ := explain(IPAddresses, apierrors.NewForbidden(schema.GroupResource{}, "", nil))
	notServed, _ := explain(AddressPools, apierrors.NewNotFound(schema.GroupResource{}, ""))
	want := []string{
		"you may not list PortPools, IPAddresses: ask for a role that can",
		"the API server does not serve AddressPools: install Switchyard's CRDs (config/crd)",
	}
	if diff := cmp.Diff(want, Notes([]Unread{forbidden, notServed, again})); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

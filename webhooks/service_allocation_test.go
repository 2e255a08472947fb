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
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// allocationWorld is one API server, played by a fake, and any number of
// replicas that share it.
type allocationWorld struct {
	client client.Client
	broken error // what creating a claim or reading past the cache answers
	// probe answers dry-runs: a port that the API server would not give, or 0.
	probe func(ports []int32) (int32, error)
}

func newAllocationWorld(objects ...client.Object) *allocationWorld {
	w := &allocationWorld{}
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if review, ok := object.(*authorizationv1.SubjectAccessReview); ok {
				if review.Spec.User == "unknown" {
					return errors.New("the authorizer is away")
				}
				review.Status.Allowed = review.Spec.User == "admin"
				return nil
			}
			if w.broken != nil {
				return w.broken
			}
			if service, ok := object.(*corev1.Service); ok && w.probe != nil {
				return w.answerProbe(service, options)
			}
			return c.Create(ctx, object, options...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if w.broken != nil {
				return w.broken
			}
			return c.Get(ctx, key, object, options...)
		},
	}).Build()
	return w
}

func (w *allocationWorld) replica(t *testing.T, mode allocator.Mode, span allocator.PortSpan) *ServiceAllocation {
	t.Helper()
	index := allocator.NewServices(span)
	cidrs := []allocator.ServiceCIDR{{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Ready: true}}
	if err := index.SetServiceCIDRs([]corev1.IPFamily{corev1.IPv4Protocol}, cidrs); err != nil {
		t.Fatal(err)
	}
	index.SetReady()
	return &ServiceAllocation{
		Mode: mode, Index: index, Namespace: "system", Client: w.client, Reader: w.client, Cached: w.client,
		Exempt: Exemptions{Namespace: "system"}, Now: func() time.Time { return time.Unix(1000, 0) },
	}
}

func (w *allocationWorld) claims(t *testing.T) []string {
	t.Helper()
	var leases coordinationv1.LeaseList
	if err := w.client.List(context.Background(), &leases); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, lease := range leases.Items {
		names = append(names, lease.Name)
	}
	return names
}

func nodePortService(name string, nodePorts ...int32) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.0.0.9", ClusterIPs: []string{"10.0.0.9"}},
	}
	for i, nodePort := range nodePorts {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprint("p", i), Port: int32(80 + i), NodePort: nodePort, Protocol: corev1.ProtocolTCP})
	}
	return s
}

// create is the admission request for the create of a Service.
func create(t testing.TB, service *corev1.Service, user string) admission.Request {
	t.Helper()
	raw, err := json.Marshal(service)
	if err != nil {
		t.Fatal(err)
	}
	r := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "request", Operation: admissionv1.Create, Namespace: service.Namespace, Name: service.Name,
		Object: runtime.RawExtension{Raw: []byte(strings.Replace(string(raw), `"metadata"`, `"apiVersion":"v1","kind":"Service","metadata"`, 1))},
	}}
	r.UserInfo.Username = user
	return r
}

func causeOf(t *testing.T, response admission.Response) string {
	t.Helper()
	if response.Allowed || response.Result.Details == nil || len(response.Result.Details.Causes) != 1 {
		t.Fatalf("response is %+v, want a denial with one cause", response)
	}
	cause := response.Result.Details.Causes[0]
	return cause.Field + ": " + cause.Message
}

// patched is the number given to spec.ports[0].
func patched(t *testing.T, response admission.Response) float64 {
	t.Helper()
	var patch []jsonPatch
	if err := json.Unmarshal(response.Patch, &patch); err != nil || !response.Allowed || len(patch) == 0 {
		t.Fatalf("response is %+v, want a patch (%v)", response, err)
	}
	last := patch[len(patch)-1]
	if last.Path != "/spec/ports/0/nodePort" {
		t.Fatalf("patch is %+v", patch)
	}
	return last.Value.(float64)
}

var twoPorts = allocator.PortSpan{First: 30000, Last: 30001}

func TestTwoReplicasNeverGiveOneNumberTwice(t *testing.T) {
	for range 30 { // whichever each draws
		world := newAllocationWorld()
		a, b := world.replica(t, allocator.Authoritative, twoPorts), world.replica(t, allocator.Authoritative, twoPorts)
		first := patched(t, a.Handle(context.Background(), create(t, nodePortService("a", 0), "admin")))
		second := patched(t, b.Handle(context.Background(), create(t, nodePortService("b", 0), "admin")))
		if first == second {
			t.Fatalf("both replicas gave %v", first)
		}
		if diff := cmp.Diff([]string{"clusterip-10.0.0.9", "nodeport-30000", "nodeport-30001"}, world.claims(t)); diff != "" {
			t.Fatalf("claims (-want +got):\n%s", diff)
		}
	}
}

func TestALostClaimGivesBackTheOthers(t *testing.T) {
	for range 30 {
		world := newAllocationWorld(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "nodeport-30001"}})
		a := world.replica(t, allocator.Authoritative, allocator.PortSpan{First: 30000, Last: 30003})
		response := a.Handle(context.Background(), create(t, nodePortService("a", 0, 0), "admin"))
		if !response.Allowed || response.Patch == nil {
			t.Fatalf("response is %+v", response)
		}
		if got := world.claims(t); len(got) != 4 {
			t.Fatalf("claims are %v, want the other replica's and three of ours", got)
		}
	}
}

func TestTheHolderIsNamedToWhoMayReadIt(t *testing.T) {
	holder := nodePortService("db", 30000)
	holder.Namespace = "secret"
	world := newAllocationWorld(holder)
	for name, tc := range map[string]struct {
		user, namespace, want string
	}{
		"an administrator":                     {"admin", "team", "spec.ports[0].nodePort: Invalid value: 30000: held by Service secret/db; free: 30001"},
		"a tenant":                             {"bob", "team", "spec.ports[0].nodePort: Invalid value: 30000: held by a Service of another namespace; free: 30001"},
		"somebody of whom it can not be asked": {"unknown", "team", "spec.ports[0].nodePort: Invalid value: 30000: held by a Service of another namespace; free: 30001"},
		"a blind writer":                       {"bob", "secret", "spec.ports[0].nodePort: Invalid value: 30000: held by another Service of this namespace; free: 30001"},
	} {
		t.Run(name, func(t *testing.T) {
			a := world.replica(t, allocator.Advisory, twoPorts)
			a.Index.Observe(holder)
			asked := nodePortService("web", 30000)
			asked.Namespace, asked.Spec.ClusterIP, asked.Spec.ClusterIPs = tc.namespace, "", nil
			response := a.Handle(context.Background(), create(t, asked, tc.user))
			if diff := cmp.Diff(tc.want, causeOf(t, response)); diff != "" {
				t.Errorf("cause (-want +got):\n%s", diff)
			}
			if response.Result.Reason != metav1.StatusReasonInvalid || response.Result.Code != 422 || response.Result.Details.Name != "web" {
				t.Errorf("status is %+v", response.Result)
			}
		})
	}
}

func TestAHolderIsConfirmedBeforeItIsBlamed(t *testing.T) {
	moved := nodePortService("moved", 30001)
	world := newAllocationWorld(moved)
	a := world.replica(t, allocator.Advisory, twoPorts)
	stale := nodePortService("moved", 30000)
	gone := nodePortService("gone", 30000)
	a.Index.Observe(stale)
	a.Index.Observe(gone)
	asked := nodePortService("web", 30000)
	asked.Spec.ClusterIP, asked.Spec.ClusterIPs = "", nil
	if response := a.Handle(context.Background(), create(t, asked, "admin")); !response.Allowed {
		t.Errorf("denied for holders that hold nothing: %+v", response.Result)
	}
	if got := a.Index.Holders(allocator.PortNumber(30000)); got != nil {
		t.Errorf("the index still has %v", got)
	}
}

func TestANewServiceCIDRIsLookedUpBeforeAnAddressIsRefused(t *testing.T) {
	world := newAllocationWorld(
		&networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.0.0.0/24"}}},
		&networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.1.0.0/24"}}},
		&networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "useless"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"fd00::/48"}}})
	a := world.replica(t, allocator.Advisory, twoPorts)
	asked := nodePortService("web", 30000)
	asked.Spec.ClusterIP, asked.Spec.ClusterIPs = "10.1.0.1", []string{"10.1.0.1"}
	if response := a.Handle(context.Background(), create(t, asked, "admin")); !response.Allowed {
		t.Errorf("denied: %+v", response.Result)
	}
	asked.Spec.ClusterIP, asked.Spec.ClusterIPs = "10.2.0.1", []string{"10.2.0.1"}
	want := `spec.clusterIPs[0]: Invalid value: "10.2.0.1": not in 10.0.0.0/24, 10.1.0.0/24`
	if diff := cmp.Diff(want, causeOf(t, a.Handle(context.Background(), create(t, asked, "admin")))); diff != "" {
		t.Errorf("cause (-want +got):\n%s", diff)
	}
}

func TestWhatCanNotBeDecidedPassesUntouched(t *testing.T) {
	holder := nodePortService("db", 30000)
	for name, prepare := range map[string]func(*allocationWorld, *ServiceAllocation) *corev1.Service{
		"before the index is ready": func(_ *allocationWorld, a *ServiceAllocation) *corev1.Service {
			a.Index = allocator.NewServices(twoPorts)
			return nodePortService("web", 0)
		},
		"when a claim can not be made": func(w *allocationWorld, _ *ServiceAllocation) *corev1.Service {
			w.broken = errors.New("etcd is away")
			return nodePortService("web", 0)
		},
		"when a holder can not be confirmed": func(w *allocationWorld, a *ServiceAllocation) *corev1.Service {
			w.broken = errors.New("etcd is away")
			a.Index.Observe(holder)
			return nodePortService("web", 30000)
		},
	} {
		t.Run(name, func(t *testing.T) {
			world := newAllocationWorld()
			a := world.replica(t, allocator.Authoritative, twoPorts)
			service := prepare(world, a)
			before := a.Index.Stats()
			response := a.Handle(context.Background(), create(t, service, "admin"))
			if !response.Allowed || response.Patch != nil || len(response.Warnings) != 1 {
				t.Errorf("response is %+v, want it allowed with a warning", response)
				return
			}
			if strings.Contains(response.Warnings[0], holder.Name) {
				t.Errorf("the warning names the holder: %s", response.Warnings[0])
			}
			if diff := cmp.Diff(before, a.Index.Stats()); diff != "" {
				t.Errorf("numbers leaked (-before +after):\n%s", diff)
			}
		})
	}
}

func TestWhatABootingClusterNeedsIsExempt(t *testing.T) {
	for name, exempt := range map[string]*corev1.Service{
		"the API server's Service": {ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes"}},
		"our own":                  {ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "webhook"}},
	} {
		exempt.Spec = nodePortService("", 0).Spec
		a := newAllocationWorld().replica(t, allocator.Authoritative, twoPorts)
		if response := a.Handle(context.Background(), create(t, exempt, "system:apiserver")); !response.Allowed || response.Patch != nil {
			t.Errorf("%s: %+v", name, response)
		}
	}
	off := newAllocationWorld().replica(t, allocator.Off, twoPorts)
	if response := off.Handle(context.Background(), create(t, nodePortService("web", 99), "admin")); !response.Allowed {
		t.Errorf("mode off: %+v", response)
	}
}

func TestDryRunClaimsNothing(t *testing.T) {
	world := newAllocationWorld()
	a := world.replica(t, allocator.Advisory, twoPorts)
	request := create(t, nodePortService("web", 0), "admin")
	request.DryRun = new(true)
	if got := patched(t, a.Handle(context.Background(), request)); got != 30000 && got != 30001 {
		t.Errorf("the dry-run gives %v", got)
	}
	if got := world.claims(t); got != nil {
		t.Errorf("the dry-run claimed %v", got)
	}
}

func TestCreatingWhatExistsAnswersAlreadyExists(t *testing.T) {
	web, other := nodePortService("web", 30000), nodePortService("other", 30001)
	web.Finalizers, other.Spec.ClusterIP, other.Spec.ClusterIPs = []string{"example.org/wait"}, "10.0.0.10", []string{"10.0.0.10"}
	world := newAllocationWorld(web, other)
	a := world.replica(t, allocator.Authoritative, twoPorts)
	a.Index.Observe(web)
	a.Index.Observe(other)
	for _, port := range []int32{30000, 30001} {
		response := a.Handle(context.Background(), create(t, nodePortService("web", port), "admin"))
		if response.Allowed || !apierrors.IsAlreadyExists(&apierrors.StatusError{ErrStatus: *response.Result}) {
			t.Errorf("with port %d, response is %+v", port, response)
		}
	}
	if err := world.client.Delete(context.Background(), web); err != nil {
		t.Fatal(err)
	}
	response := a.Handle(context.Background(), create(t, nodePortService("web", 30000), "admin"))
	if got := response.Result.Message; got != `object is being deleted: services "web" already exists` {
		t.Errorf("while it is being deleted: %s", got)
	}
	if err := world.client.Get(context.Background(), client.ObjectKeyFromObject(web), web); err != nil {
		t.Fatal(err)
	}
	web.Finalizers = nil
	if err := world.client.Update(context.Background(), web); err != nil {
		t.Fatal(err)
	}
	if response := a.Handle(context.Background(), create(t, nodePortService("web", 30000), "admin")); !response.Allowed {
		t.Errorf("after it was deleted: %+v", response.Result)
	}
}

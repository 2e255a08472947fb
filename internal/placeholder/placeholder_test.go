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

package placeholder

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"switchyard.dev/switchyard/allocator"
)

const system = "switchyard-system"

func port(number int32) allocator.Reservation {
	return allocator.Reservation{Number: allocator.PortNumber(number), Object: fmt.Sprint(number)}
}

func addr(text string) allocator.Reservation {
	number := allocator.AddrNumber(netip.MustParseAddr(text))
	return allocator.Reservation{Number: number, Object: number.ReservationName()}
}

// server is a fake API server that refuses ports as the real one does, and
// counts writes.
type server struct {
	taken  map[int32]string // why a port is refused
	addrs  map[string]bool  // that are somebody's
	mu     sync.Mutex
	writes int
	// beforeDelete is what another replica does meanwhile, once.
	beforeDelete func(client.Client)
}

func (s *server) write(object client.Object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	service, ok := object.(*corev1.Service)
	if !ok {
		return nil
	}
	kind := corev1.SchemeGroupVersion.WithKind("Service").GroupKind()
	if ip := service.Spec.ClusterIP; s.addrs[ip] {
		return apierrors.NewInvalid(kind, service.Name, field.ErrorList{field.Invalid(field.NewPath("spec", "clusterIPs"), service.Spec.ClusterIPs,
			"failed to allocate IP "+ip+": provided IP is already allocated")})
	}
	for i, p := range service.Spec.Ports {
		if why := s.taken[p.NodePort]; why != "" {
			path := field.NewPath("spec", "ports").Index(i).Child("nodePort")
			return apierrors.NewInvalid(kind, service.Name, field.ErrorList{field.Invalid(path, p.NodePort, why)})
		}
	}
	return nil
}

func (s *server) keeper(objects ...client.Object) *Keeper {
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if err := s.write(object); err != nil {
				return err
			}
			return c.Create(ctx, object, options...)
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			if err := s.write(object); err != nil {
				return err
			}
			return c.Update(ctx, object, options...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			s.mu.Lock()
			s.writes++
			meanwhile := s.beforeDelete
			s.beforeDelete = nil
			s.mu.Unlock()
			if meanwhile != nil {
				meanwhile(c)
			}
			if err := sameUID(ctx, c, object, options); err != nil {
				return err
			}
			return c.Delete(ctx, object, options...)
		},
	}).Build()
	return &Keeper{Client: c, Live: c, Namespace: system}
}

// sameUID is the precondition that the fake client does not know.
func sameUID(ctx context.Context, c client.Client, object client.Object, options []client.DeleteOption) error {
	var all client.DeleteOptions
	all.ApplyOptions(options)
	now := object.DeepCopyObject().(client.Object)
	if err := c.Get(ctx, client.ObjectKeyFromObject(object), now); err != nil {
		return err
	}
	if all.Preconditions != nil && *all.Preconditions.UID != now.GetUID() {
		return apierrors.NewConflict(corev1.Resource("services"), object.GetName(), errors.New("the UID is another"))
	}
	return nil
}

func held(t *testing.T, k *Keeper) []string {
	t.Helper()
	numbers, err := k.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, n := range slices.SortedFunc(slices.Values(numbers), allocator.Number.Compare) {
		texts = append(texts, n.String())
	}
	return texts
}

func TestObjectsHaveValidNamesAndLeadBack(t *testing.T) {
	for _, r := range []allocator.Reservation{addr("10.96.0.7"), addr("fd00:10::7"), addr("::ffff:10.0.0.1")} {
		object := Address(r)
		if number, ours := NumberOfAddress(object); !ours || number != r.Number {
			t.Errorf("%s leads back to %v, %v", object.Name, number, ours)
		}
		if errs := validation.IsValidIP(nil, object.Name); len(errs) > 0 {
			t.Errorf("name %s: %v", object.Name, errs)
		}
		if object.Spec.ParentRef.Name != r.Object {
			t.Errorf("%s refers to %s, want %s", object.Name, object.Spec.ParentRef.Name, r.Object)
		}
	}
	for _, number := range []int32{1, 63, 64, 30080, 65535} {
		service := Ports(system, number)
		if got := NumbersOfPorts(service); !slices.Equal(got, []allocator.Number{allocator.PortNumber(number)}) {
			t.Errorf("port %d leads back to %v", number, got)
		}
		for _, text := range []string{service.Name, service.Spec.Ports[0].Name} {
			if errs := validation.IsDNS1035Label(text); len(errs) > 0 {
				t.Errorf("name %s: %v", text, errs)
			}
		}
		if !IsPortsKey(client.ObjectKeyFromObject(service), system, number) || IsPortsKey(client.ObjectKeyFromObject(service), "team", number) {
			t.Errorf("%s is not known by its name", service.Name)
		}
	}
}

func TestHoldingAndReleasingTwiceIsLikeOnce(t *testing.T) {
	s := &server{}
	k, ctx := s.keeper(), context.Background()
	all := []allocator.Reservation{port(30080), port(30081), port(30500), addr("10.96.0.7"), addr("fd00::7")}
	for range 2 {
		if err := k.Hold(ctx, all); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"30080", "30081", "30500", "10.96.0.7", "fd00::7"}, held(t, k)); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
	}
	if s.writes != len(all) {
		t.Errorf("%d writes for %d numbers", s.writes, len(all))
	}
	for range 2 {
		for _, r := range all {
			if err := k.Release(ctx, r.Number); err != nil {
				t.Fatal(err)
			}
		}
		if got := held(t, k); got != nil {
			t.Errorf("still held: %v", got)
		}
	}
	if s.writes != 2*len(all) {
		t.Errorf("%d writes to hold and release %d numbers", s.writes, len(all))
	}
	var services corev1.ServiceList
	if err := k.Client.List(ctx, &services); err != nil || len(services.Items) > 0 {
		t.Errorf("empty Services are left: %v, %v", services.Items, err)
	}
}

func TestWhatOthersHoldStaysTheirs(t *testing.T) {
	theirs := &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: "10.96.0.7", Labels: map[string]string{networkingv1.LabelManagedBy: "ipallocator.k8s.io"}},
		Spec:       networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: "team", Name: "web"}},
	}
	borrowed := Address(addr("10.96.0.8"))
	borrowed.Labels[networkingv1.LabelManagedBy] = "somebody"
	sameName := Ports(system, 30080)
	sameName.Labels = nil
	s := &server{taken: map[int32]string{31000: "provided port is already allocated"}}
	k, ctx := s.keeper(theirs, borrowed, sameName), context.Background()

	err := k.Hold(ctx, []allocator.Reservation{addr("10.96.0.7"), addr("10.96.0.8"), port(30080), port(31000), port(31001), addr("10.96.0.9")})
	for _, want := range []string{
		"holding 10.96.0.7: it belongs to services team/web",
		"holding 10.96.0.8: it belongs to addressreservations.switchyard.dev 10.96.0.8",
		"is not ours",
		"holding 31000: the API server has it allocated already",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	if diff := cmp.Diff([]string{"31001", "10.96.0.9"}, held(t, k)); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	for _, n := range []allocator.Reservation{addr("10.96.0.7"), addr("10.96.0.8"), port(30080)} {
		if err := k.Release(ctx, n.Number); err != nil {
			t.Error(err)
		}
	}
	for _, object := range []client.Object{theirs, borrowed, sameName} {
		before := object.DeepCopyObject().(client.Object)
		if err := k.Client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			t.Errorf("%s is gone: %v", object.GetName(), err)
		}
		if object.GetResourceVersion() != "999" {
			t.Errorf("%s was written: %s, was %s", object.GetName(), object.GetResourceVersion(), before.GetResourceVersion())
		}
	}
}

func TestErrorsSayWhoHasTheNumber(t *testing.T) {
	s := &server{taken: map[int32]string{
		30080: "provided port is already allocated",
		8080:  "provided port is not in the valid range. The range of valid ports is 30000-32767",
	}}
	k, ctx := s.keeper(), context.Background()
	var taken *TakenError
	if err := k.Hold(ctx, []allocator.Reservation{port(30080)}); !errors.As(err, &taken) || taken.Holder() != "" {
		t.Errorf("a port that is taken: %v", err)
	}
	if err := k.Hold(ctx, []allocator.Reservation{port(8080)}); !errors.Is(err, ErrOutOfRange) {
		t.Errorf("a port that is out of range: %v", err)
	}
	of := func(group, resource, namespace string) *TakenError {
		return &TakenError{Parent: &networkingv1.ParentReference{Group: group, Resource: resource, Namespace: namespace, Name: "web"}}
	}
	if key, ok := of("", "services", "team").Service(); !ok || key.String() != "team/web" {
		t.Errorf("the Service is %v, %v", key, ok)
	}
	for _, other := range []*TakenError{{}, of("example.com", "services", "team"), of("", "pods", "team")} {
		if key, ok := other.Service(); ok {
			t.Errorf("%v is a Service: %v", other, key)
		}
	}
	if got := of("gateway.example.com", "gateways", "").Holder(); got != "gateways.gateway.example.com web" {
		t.Errorf("the holder is %q", got)
	}
}

// A name that is free again may belong to the next Service that holds the port.
func TestWhatHasTakenThePlaceOfAPlaceholderIsKept(t *testing.T) {
	first := Ports(system, 30080)
	first.UID = "first"
	s := &server{}
	k, ctx := s.keeper(first), context.Background()
	s.beforeDelete = func(c client.Client) {
		next := Ports(system, 30080)
		next.UID = "next"
		if err := errors.Join(c.Delete(ctx, Ports(system, 30080)), c.Create(ctx, next)); err != nil {
			t.Error(err)
		}
	}
	if err := k.Release(ctx, allocator.PortNumber(30080)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"30080"}, held(t, k)); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}

func TestAPlaceholderThatSomebodyHasChangedIsMadeAnew(t *testing.T) {
	changed := Ports(system, 30080)
	changed.Spec.Ports[0].NodePort = 30081
	k, ctx := (&server{}).keeper(changed), context.Background()
	if err := k.Hold(ctx, []allocator.Reservation{port(30080)}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("the first try: %v, want what stands in the way", err)
	}
	if err := k.Hold(ctx, []allocator.Reservation{port(30080)}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"30080"}, held(t, k)); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}

func TestThePortThatAnotherReplicaHoldsIsHeld(t *testing.T) {
	s := &server{}
	k, ctx := s.keeper(Ports(system, 30080)), context.Background()
	s.taken = map[int32]string{30080: "provided port is already allocated"}
	k.Client = behind{k.Client} // the cache does not know of it yet
	if err := k.Hold(ctx, []allocator.Reservation{port(30080)}); err != nil {
		t.Error(err)
	}
}

// behind is a client whose cache has seen nothing yet.
type behind struct{ client.Client }

func (behind) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(corev1.Resource("services"), key.Name)
}

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
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/balancer"
)

// pageSize is how many objects one answer of the API server has. What is not
// needed of them is dropped before the next page is asked for.
const pageSize = 500

// Scheme has the kinds that are read.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// Read lists everything, in pages, all kinds at once. System is the namespace of
// the manager. The error says which kind could not be read; for a kind other
// than Services it is no error that the server does not serve it or that the
// user may not list it.
func Read(ctx context.Context, reader client.Reader, system string, nodePorts NodePorts) (*Inventory, error) {
	return Scope{}.Read(ctx, reader, system, nodePorts)
}

// Scope is what a question takes beside the usual.
type Scope struct {
	// Namespace is one whose Services alone are looked at where those of all may not
	// be listed. They count among the unread then.
	Namespace string
	// Endpoints are read, too.
	Endpoints bool
}

// Read is Read for this scope.
func (s Scope) Read(ctx context.Context, reader client.Reader, system string, nodePorts NodePorts) (*Inventory, error) {
	inv := &Inventory{NodePorts: nodePorts, System: system, Namespaces: map[string]labels.Set{}}
	inv.AnnouncedBy, inv.Unannounced = map[netip.Addr]string{}, map[netip.Addr]time.Time{}
	r := reading{reader: reader, inventory: inv, namespace: s.Namespace}
	r.group, r.ctx = errgroup.WithContext(ctx)
	startItems(&r, Services, &corev1.ServiceList{}, &inv.Services, func(l *corev1.ServiceList) []corev1.Service { return l.Items })
	startItems(&r, IPAddresses, &networkingv1.IPAddressList{}, &inv.IPAddresses, func(l *networkingv1.IPAddressList) []networkingv1.IPAddress { return l.Items })
	startItems(&r, ServiceCIDRs, &networkingv1.ServiceCIDRList{}, &inv.ServiceCIDRs,
		func(l *networkingv1.ServiceCIDRList) []networkingv1.ServiceCIDR { return l.Items })
	startItems(&r, PortPools, &v1alpha1.PortPoolList{}, &inv.PortPools, func(l *v1alpha1.PortPoolList) []v1alpha1.PortPool { return l.Items })
	startItems(&r, AddressPools, &v1alpha1.AddressPoolList{}, &inv.AddressPools, func(l *v1alpha1.AddressPoolList) []v1alpha1.AddressPool { return l.Items })
	startItems(&r, PortReservations, &v1alpha1.PortReservationList{}, &inv.PortReservations,
		func(l *v1alpha1.PortReservationList) []v1alpha1.PortReservation { return l.Items })
	startItems(&r, AddressReservations, &v1alpha1.AddressReservationList{}, &inv.AddressReservations,
		func(l *v1alpha1.AddressReservationList) []v1alpha1.AddressReservation { return l.Items })
	start(&r, Claims, &coordinationv1.LeaseList{}, inv.keepLeases, inv.forgetLeases, client.InNamespace(system))
	start(&r, Namespaces, namespaceList(), func(l *metav1.PartialObjectMetadataList) {
		for i := range l.Items {
			inv.Namespaces[l.Items[i].Name] = l.Items[i].Labels
		}
	}, func() { clear(inv.Namespaces) })
	if s.Endpoints {
		inv.Endpoints.Pods = map[netip.Addr][]types.NamespacedName{}
		start(&r, Pods, &corev1.PodList{}, inv.Endpoints.keepPods, func() { clear(inv.Endpoints.Pods) })
		startItems(&r, EndpointSlices, &discoveryv1.EndpointSliceList{}, &inv.Endpoints.Slices,
			func(l *discoveryv1.EndpointSliceList) []discoveryv1.EndpointSlice { return l.Items })
	}
	if err := r.group.Wait(); err != nil {
		return nil, err
	}
	if len(r.late) > 0 {
		slices.Sort(r.late)
		return nil, fmt.Errorf("listing %s: %w", strings.Join(r.late, ", "), r.lateness)
	}
	if !inv.announcers {
		clear(inv.Unannounced)
	}
	slices.SortFunc(inv.Unread, func(a, b Unread) int { return cmp.Compare(a.Kind, b.Kind) })
	return inv, nil
}

// announcerLabel is speaker.Label, on the record of a node that announces addresses
// at layer 2.
const announcerLabel = "switchyard.dev/announcer"

// keepLeases tells those of numbers from those of load balancers' addresses.
func (inv *Inventory) keepLeases(l *coordinationv1.LeaseList) {
	for i := range l.Items {
		lease := &l.Items[i]
		if _, claims := lease.Labels[allocator.ClaimLabel]; claims {
			inv.Claims = append(inv.Claims, *lease)
			continue
		}
		if _, announces := lease.Labels[announcerLabel]; announces {
			inv.announcers = true
			continue
		}
		claim, err := balancer.ClaimOf(lease)
		switch holder := lease.Spec.HolderIdentity; {
		case err != nil:
		case holder != nil && *holder != "":
			inv.AnnouncedBy[claim.Addr] = *holder
		default:
			inv.Unannounced[claim.Addr] = lease.CreationTimestamp.Time
		}
	}
}

func (inv *Inventory) forgetLeases() {
	inv.Claims, inv.announcers = nil, false
	clear(inv.AnnouncedBy)
	clear(inv.Unannounced)
}

// namespaceList is of their metadata alone, as nothing else is needed.
func namespaceList() *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	return list
}

// reading is one Read under way.
type reading struct {
	reader    client.Reader
	inventory *Inventory
	group     *errgroup.Group
	ctx       context.Context
	// namespace is where Services are enough.
	namespace string
	unread    sync.Mutex
	// late are the kinds for which an answer did not come in time, and lateness why.
	late     []string
	lateness error
}

// tooLate notes a kind that did not come in time, if that is the error. The others are
// waited for, so that all are told of that hang.
func (r *reading) tooLate(kind Kind, err error) bool {
	clock, is := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	if !is || !clock.Timeout() {
		return false
	}
	r.unread.Lock()
	defer r.unread.Unlock()
	r.late, r.lateness = append(r.late, string(kind)), cmp.Or(r.lateness, err)
	return true
}

// startItems lists one kind whose objects are kept as they are.
func startItems[L client.ObjectList, T any](r *reading, kind Kind, list L, into *[]T, items func(L) []T, options ...client.ListOption) {
	start(r, kind, list, func(page L) { *into = append(*into, items(page)...) }, func() { *into = nil }, options...)
}

// start lists one kind beside the others; keep takes each page, and forget drops
// them: of a list that fails in the middle, as when the right to read it is
// withdrawn, there is nothing. Its first pages would count as all that there is, or
// beside those of another list.
func start[L client.ObjectList](r *reading, kind Kind, list L, keep func(L), forget func(), options ...client.ListOption) {
	read := func(options ...client.ListOption) error {
		err := pages(r.ctx, r.reader, list, keep, options...)
		if err != nil {
			forget()
		}
		return err
	}
	r.group.Go(func() error {
		err := read(options...)
		unread, expected := explain(kind, err)
		if kind == Services && r.namespace != "" && unread.Reason == Forbidden {
			if read(client.InNamespace(r.namespace)) == nil {
				unread.Message = fmt.Sprintf("you may not list %s of all namespaces, so only those of %s count", kind, r.namespace)
				r.leaveOut(unread)
				return nil
			}
			unread.Message = fmt.Sprintf("you may not list %s, those of namespace %s neither: ask for a role that can", kind, r.namespace)
		}
		switch {
		case err == nil, r.tooLate(kind, err):
		case expected && kind != Services:
			r.leaveOut(unread)
		case expected:
			return fmt.Errorf("%s (%w)", unread.Message, err)
		default:
			return fmt.Errorf("listing %s: %w", kind, err)
		}
		return nil
	})
}

func (r *reading) leaveOut(unread Unread) {
	r.unread.Lock()
	defer r.unread.Unlock()
	r.inventory.Unread = append(r.inventory.Unread, unread)
}

func pages[L client.ObjectList](ctx context.Context, reader client.Reader, list L, keep func(L), options ...client.ListOption) error {
	for next := ""; ; {
		page, _ := list.DeepCopyObject().(L) // a copy is of the same type
		if err := reader.List(ctx, page, append(options, client.Limit(pageSize), client.Continue(next))...); err != nil {
			return err
		}
		if err := meta.EachListItem(page, slim); err != nil {
			return err
		}
		keep(page)
		if next = page.GetContinue(); next == "" {
			return nil
		}
	}
}

// slim drops what is large and says nothing about numbers.
func slim(object runtime.Object) error {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	accessor.SetManagedFields(nil)
	if notes := accessor.GetAnnotations(); notes != nil {
		delete(notes, corev1.LastAppliedConfigAnnotation)
		accessor.SetAnnotations(notes)
	}
	return nil
}

// explain says why a kind was not read, if that is something to be expected.
func explain(kind Kind, err error) (Unread, bool) {
	switch {
	case apierrors.IsForbidden(err):
		return Unread{kind, Forbidden, fmt.Sprintf("you may not list %s: ask for a role that can", kind)}, true
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
		remedy := "install Switchyard's CRDs (config/crd)"
		switch kind {
		case IPAddresses, ServiceCIDRs:
			remedy = "it does so from Kubernetes 1.33 on"
		case Services, Claims, Namespaces, EndpointSlices, Pods:
			remedy = "is it a Kubernetes API server?"
		}
		return Unread{kind, NotServed, fmt.Sprintf("the API server does not serve %s: %s", kind, remedy)}, true
	}
	return Unread{}, false
}

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

package claims

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/announce/election"
	"switchyard.dev/switchyard/internal/balancer"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/follow"
)

// Services knows what a node serves.
type Services interface {
	// Balanced is false for a Service that this node does not serve at the address.
	Balanced(namespace, name, uid string, addr netip.Addr) (announce.Service, bool)
}

// Address is a load balancer's address as it is now.
type Address struct {
	// Claim is its Lease. Gone says that there is none any more; then only
	// Claim.Addr is set.
	Claim election.Claim
	Gone  bool
	// Holders are the Services that the Lease names.
	Holders []balancer.Holder
	// Services are those of Holders that this node serves.
	Services []announce.Service
}

// Book follows the addresses. It is safe for concurrent use.
type Book struct {
	client    kubernetes.Interface
	namespace string
	services  Services
	wake      chan struct{}

	mu      sync.Mutex
	held    map[netip.Addr]Address
	of      map[types.NamespacedName]map[netip.Addr]struct{}
	changed map[netip.Addr]struct{}
}

// New is a Book of the Leases in a namespace, which is the manager's.
func New(client kubernetes.Interface, namespace string, services Services) *Book {
	return &Book{
		client: client, namespace: namespace, services: services, wake: make(chan struct{}, 1),
		held: map[netip.Addr]Address{}, of: map[types.NamespacedName]map[netip.Addr]struct{}{}, changed: map[netip.Addr]struct{}{},
	}
}

// Source follows the Leases.
func (b *Book) Source(ctx context.Context) follow.Source {
	return follow.New(b.client, "claims of addresses", b.client.CoordinationV1().Leases(b.namespace),
		metav1.ListOptions{LabelSelector: balancer.AddressLabel},
		func(lease *coordinationv1.Lease) { b.set(ctx, lease) },
		func(_, name string) { b.remove(name) })
}

// Read is what a Lease says of an address; the error is about one that somebody
// else has written.
func Read(lease *coordinationv1.Lease) (Address, error) {
	claim, err := balancer.ClaimOf(lease)
	if err != nil {
		return Address{}, err
	}
	c := election.Claim{Addr: claim.Addr, Version: Version(lease.ResourceVersion)}
	if lease.Spec.HolderIdentity != nil {
		c.Holder = *lease.Spec.HolderIdentity
	}
	if lease.Spec.LeaseTransitions != nil {
		c.Term = *lease.Spec.LeaseTransitions
	}
	return Address{Claim: c, Holders: claim.Holders}, nil
}

// Version is a resource version as a number; of one resource, these grow with
// each write (KEP-5504).
func Version(text string) uint64 {
	number, _ := strconv.ParseUint(text, 10, 64) // 0 is older than any
	return number
}

func (b *Book) set(ctx context.Context, lease *coordinationv1.Lease) {
	a, err := Read(lease)
	if err != nil {
		log.FromContext(ctx).Info("Leaving out an address, its Lease can not be read", "reason", err.Error())
		b.remove(lease.Name)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unlink(a.Claim.Addr)
	b.held[a.Claim.Addr] = a
	for _, h := range a.Holders {
		if b.of[h.Service] == nil {
			b.of[h.Service] = map[netip.Addr]struct{}{}
		}
		b.of[h.Service][a.Claim.Addr] = struct{}{}
	}
	b.touch(a.Claim.Addr)
}

func (b *Book) remove(name string) {
	claim, err := balancer.ClaimOf(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, held := b.held[claim.Addr]; held {
		b.unlink(claim.Addr)
		delete(b.held, claim.Addr)
		b.touch(claim.Addr)
	}
}

func (b *Book) unlink(addr netip.Addr) {
	for _, h := range b.held[addr].Holders {
		delete(b.of[h.Service], addr)
		if len(b.of[h.Service]) == 0 {
			delete(b.of, h.Service)
		}
	}
}

// Changed marks the addresses of Services that may have changed.
func (b *Book) Changed(names []model.ServicePortName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range names {
		for addr := range b.of[types.NamespacedName{Namespace: n.Namespace, Name: n.Name}] {
			b.touch(addr)
		}
	}
}

func (b *Book) touch(addr netip.Addr) {
	b.changed[addr] = struct{}{}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Wake says that Take has something.
func (b *Book) Wake() <-chan struct{} { return b.wake }

// Take is what may have changed since the last call, in order. It is for one
// caller.
func (b *Book) Take() []Address {
	b.mu.Lock()
	var list []Address
	for addr := range b.changed {
		a, held := b.held[addr]
		if !held {
			a = Address{Claim: election.Claim{Addr: addr}, Gone: true}
		}
		list = append(list, a)
	}
	clear(b.changed)
	b.mu.Unlock() // who changes Services holds a lock of its own when it calls us
	slices.SortFunc(list, func(a, c Address) int { return a.Claim.Addr.Compare(c.Claim.Addr) })
	for i := range list {
		list[i].Services = b.served(list[i])
	}
	return list
}

func (b *Book) served(a Address) (list []announce.Service) {
	for _, h := range a.Holders {
		s, ok := b.services.Balanced(h.Service.Namespace, h.Service.Name, string(h.UID), a.Claim.Addr)
		if ok {
			list = append(list, s)
		}
	}
	return list
}

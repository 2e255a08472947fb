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
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// +kubebuilder:rbac:groups=switchyard.dev,resources=portpools;addresspools,verbs=list;watch
// +kubebuilder:rbac:groups=switchyard.dev,resources=portreservations;addressreservations,verbs=get;list;watch

// Pools are the PortPools and AddressPools of a cluster, with an index of which
// number belongs to which of them. They do not change.
type Pools struct {
	*allocator.Services
	Ports []allocator.PortPool
	Addrs []allocator.AddrPool
	// Uses are those that there is a pool for, also one that can not be read.
	Uses map[v1alpha1.AddressUse]bool
}

// NewPools indexes pools.
func NewPools(ports []allocator.PortPool, addrs []allocator.AddrPool) *Pools {
	pools := &Pools{Services: allocator.NewServices(allocator.DefaultNodePorts), Ports: ports, Addrs: addrs, Uses: map[v1alpha1.AddressUse]bool{}}
	pools.SetPools(ports, addrs)
	for _, pool := range addrs {
		pools.Uses[pool.Use] = true
	}
	return pools
}

// poolCache keeps the index of the pools as they were last seen. It does not
// depend on the allocator's, so that rules hold with --allocation=off as well.
type poolCache struct {
	mu      sync.Mutex
	version string
	pools   *Pools
}

// Pools implements PoolReader. A cluster has a handful, which are compared by
// their versions with those of the last time.
func (c *Cluster) Pools(ctx context.Context) (*Pools, error) {
	var ports v1alpha1.PortPoolList
	var addrs v1alpha1.AddressPoolList
	for _, list := range []client.ObjectList{&ports, &addrs} {
		if err := c.list(ctx, list); err != nil && !meta.IsNoMatchError(err) {
			return nil, fmt.Errorf("reading pools: %w", err)
		}
	}
	c.pools.mu.Lock()
	defer c.pools.mu.Unlock()
	if version := versionOf(ports.Items, addrs.Items); c.pools.pools == nil || c.pools.version != version {
		c.pools.version, c.pools.pools = version, readPools(ctx, ports.Items, addrs.Items)
	}
	return c.pools.pools, nil
}

func versionOf(ports []v1alpha1.PortPool, addrs []v1alpha1.AddressPool) string {
	var versions []string
	for i := range ports {
		versions = append(versions, "p/"+string(ports[i].UID)+"/"+ports[i].ResourceVersion)
	}
	for i := range addrs {
		versions = append(versions, "a/"+string(addrs[i].UID)+"/"+addrs[i].ResourceVersion)
	}
	slices.Sort(versions)
	return strings.Join(versions, " ")
}

// readPools has the numbers of a pool be nobody's while it can not be read to
// whom they belong: a pool that is wrong does not open what it closed.
func readPools(ctx context.Context, ports []v1alpha1.PortPool, addrs []v1alpha1.AddressPool) *Pools {
	var portPools []allocator.PortPool
	var addrPools []allocator.AddrPool
	for i := range ports {
		pool, err := allocator.PortPoolOf(&ports[i])
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Closed a pool", "portPool", ports[i].Name)
			pool.Namespaces = labels.Nothing()
		}
		portPools = append(portPools, pool)
	}
	for i := range addrs {
		pool, err := allocator.AddrPoolOf(&addrs[i])
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Closed a pool", "addressPool", addrs[i].Name)
			pool.Namespaces, pool.Services = labels.Nothing(), labels.Nothing()
		}
		addrPools = append(addrPools, pool)
	}
	pools := NewPools(portPools, addrPools)
	for i := range addrs {
		pools.Uses[addrs[i].Spec.Use] = true
	}
	return pools
}

// ReservationOf implements PoolReader: a reservation is found by its name, which
// is the number, and read live before it refuses.
func (c *Cluster) ReservationOf(ctx context.Context, number allocator.Number) (*allocator.Reservation, error) {
	for _, reader := range []client.Reader{c.Cached, c.Live} {
		found, err := reservationFrom(ctx, reader, number)
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			return nil, nil
		}
		if err != nil || reader == c.Live {
			return found, err
		}
	}
	return nil, nil
}

func reservationFrom(ctx context.Context, reader client.Reader, number allocator.Number) (*allocator.Reservation, error) {
	key := client.ObjectKey{Name: number.ReservationName()}
	var reservation allocator.Reservation
	var err error
	if number.IsPort() {
		object := &v1alpha1.PortReservation{}
		if err = reader.Get(ctx, key, object); err == nil {
			reservation, err = allocator.ReservationOfPort(object)
		}
	} else {
		object := &v1alpha1.AddressReservation{}
		if err = reader.Get(ctx, key, object); err == nil {
			reservation, err = allocator.ReservationOfAddress(object)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the reservation of %s: %w", number, err)
	}
	return &reservation, nil
}

// PoolsRequired implements PoolReader.
func (c *Cluster) PoolsRequired(use v1alpha1.AddressUse) bool {
	return slices.Contains(c.RequirePools, use)
}

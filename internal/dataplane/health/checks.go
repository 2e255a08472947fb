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

package health

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// ReasonCheckNotStarted is the reason of the Event about a *CheckError, as
// kube-proxy has it.
const ReasonCheckNotStarted = "FailedToStartServiceHealthcheck"

// ServiceCheck is what load balancers are told about one Service in one IP
// family, on its healthCheckNodePort.
type ServiceCheck struct {
	Service types.NamespacedName
	// Port is the Service's healthCheckNodePort, 1-65535.
	Port uint16
	// LocalEndpoints is how many distinct addresses of ready endpoints this
	// node has.
	LocalEndpoints int
}

// CheckError says why a Service's health-check port does not answer at one
// address. The next Sync tries again.
type CheckError struct {
	Service types.NamespacedName
	Address netip.AddrPort
	Err     error
}

// Error names the address and the reason; whoever reads it knows the Service.
func (e *CheckError) Error() string {
	return fmt.Sprintf("listening for health checks on %s: %v", e.Address, e.Err)
}

// Unwrap is the reason.
func (e *CheckError) Unwrap() error { return e.Err }

// ServiceChecks are the HTTP servers that tell load balancers whether this node
// has ready endpoints of a Service with externalTrafficPolicy Local. It is safe
// for concurrent use.
type ServiceChecks struct {
	state *State

	mu      sync.Mutex
	servers map[checkKey]*checkServer
}

// checkKey is a server's place: a Service's port at one address.
type checkKey struct {
	service types.NamespacedName
	address netip.AddrPort
}

func (k checkKey) compare(other checkKey) int {
	return cmp.Or(strings.Compare(k.service.Namespace, other.service.Namespace),
		strings.Compare(k.service.Name, other.service.Name), k.address.Compare(other.address))
}

// NewServiceChecks serves nothing yet. All answers are 503 while state is
// unhealthy.
func NewServiceChecks(state *State) *ServiceChecks {
	return &ServiceChecks{state: state, servers: map[checkKey]*checkServer{}}
}

// Sync makes the family's servers those of wanted, each at all addresses, which
// are the ones that NodePorts answer on; the unspecified address is all of the
// family. Servers that stay are not interrupted. What can not be opened is
// returned, in a fixed order, and does not hold back the others: call Sync again
// later.
func (c *ServiceChecks) Sync(family model.Family, wanted []ServiceCheck, addresses []netip.Addr) []*CheckError {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[checkKey]int{}
	for _, check := range wanted {
		for _, address := range addresses {
			if model.FamilyOf(address) == family {
				counts[checkKey{check.Service, netip.AddrPortFrom(address, check.Port)}] = check.LocalEndpoints
			}
		}
	}
	c.closeUnless(func(key checkKey) bool {
		_, stays := counts[key]
		return stays || model.FamilyOf(key.address.Addr()) != family
	})
	var errs []*CheckError
	for _, key := range slices.SortedFunc(maps.Keys(counts), checkKey.compare) {
		if err := c.set(key, counts[key]); err != nil {
			errs = append(errs, &CheckError{Service: key.service, Address: key.address, Err: err})
		}
	}
	return errs
}

func (c *ServiceChecks) set(key checkKey, endpoints int) error {
	if server := c.servers[key]; server != nil {
		server.endpoints.Store(int64(endpoints))
		return nil
	}
	server, err := startCheck(c.state, key, endpoints)
	if err != nil {
		return err
	}
	c.servers[key] = server
	return nil
}

// Close ends all servers.
func (c *ServiceChecks) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeUnless(func(checkKey) bool { return false })
}

// closeUnless frees ports before others are opened: a port may move from one
// Service to another.
func (c *ServiceChecks) closeUnless(stays func(checkKey) bool) {
	for key, server := range c.servers {
		if !stays(key) {
			server.close()
			delete(c.servers, key)
		}
	}
}

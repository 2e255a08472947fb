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

package agent

import (
	"net/netip"
	"slices"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/dataplane/model"
)

// tell passes on names that may have changed.
func (a *Agent) tell(names []model.ServicePortName) {
	if a.Changed != nil {
		a.Changed(names)
	}
}

// Balanced is what who announces an address of the Service has to know of it; ok
// is false if this node does not serve that Service at the address, whatever a Lease says.
func (a *Agent) Balanced(namespace, name, uid string, addr netip.Addr) (s announce.Service, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.store.ServiceObject(namespace, name).UID != uid {
		return s, false
	}
	local, family := false, model.FamilyOf(addr)
	var endpoints []model.Endpoint
	for _, port := range a.store.ServicePorts(namespace, name) {
		if _, proxied := port.ClusterIP(family); !proxied {
			continue
		}
		ok = ok || slices.Contains(port.LoadBalancerIPs, addr)
		if local = port.Traffic.ExternalLocal; local {
			endpoints = append(endpoints, a.store.Endpoints(port.Name, family)...)
		}
	}
	return announce.ServiceOf(local, endpoints), ok
}

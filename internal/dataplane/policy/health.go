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

package policy

import (
	"net/netip"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// HealthCheck is what a load balancer learns on a Service's health-check node
// port: whether this node has endpoints for what it would send here.
type HealthCheck struct {
	Namespace, Name string
	// Port is the TCP port on the node's addresses, 1-65535.
	Port uint16
	// Endpoints is how many addresses with ready endpoints are on this node, an
	// address with several ports counted once. Those that only terminate are
	// not counted, so that load balancers turn away before they are gone.
	Endpoints int
}

// LocalHealth is the health check of one Service in one family; ok is false
// when it has none there.
func LocalHealth(store *model.Store, namespace, name string, family model.Family, place Place) (check HealthCheck, ok bool) {
	local := map[netip.Addr]struct{}{}
	var buffer []model.Endpoint
	for _, port := range store.ServicePorts(namespace, name) {
		if _, proxied := port.ClusterIP(family); !proxied || port.Traffic.HealthCheckNodePort == 0 {
			continue
		}
		check = HealthCheck{Namespace: namespace, Name: name, Port: port.Traffic.HealthCheckNodePort}
		buffer = store.AppendEndpoints(buffer[:0], port.Name, family)
		for i := range buffer {
			if buffer[i].Ready && place.has(&buffer[i]) {
				local[buffer[i].Addr.Addr()] = struct{}{}
			}
		}
	}
	check.Endpoints = len(local)
	return check, check.Port != 0
}

// WithoutLocal says for the ClusterIP and for external destinations whether
// traffic policy Local leaves connections without an endpoint on this node,
// while others have some: kube-proxy's metric
// sync_proxy_rules_no_local_endpoints_total counts them.
func (d *Decision) WithoutLocal() (internal, external bool) {
	without := len(d.Local) == 0 && len(d.Cluster) > 0
	return without && d.Internal == LocalScope, without && d.External == LocalScope
}

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

package diagnosis

import (
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// endpoint is one of a slice.
type endpoint struct {
	*discoveryv1.Endpoint
	slice *discoveryv1.EndpointSlice
}

// endpointsOf are those of all slices but the ones that are being deleted.
func endpointsOf(all []*discoveryv1.EndpointSlice) []endpoint {
	var endpoints []endpoint
	for _, slice := range all {
		if slice.DeletionTimestamp != nil {
			continue
		}
		for i := range slice.Endpoints {
			if len(slice.Endpoints[i].Addresses) > 0 {
				endpoints = append(endpoints, endpoint{&slice.Endpoints[i], slice})
			}
		}
	}
	return endpoints
}

// ready and its likes follow the API: what is not said is ready and serving.
func (p endpoint) ready() bool { return p.Conditions.Ready == nil || *p.Conditions.Ready }

// answers tells whether it is used while no other is ready (KEP-1669).
func (p endpoint) answers() bool {
	serving := p.Conditions.Serving == nil || *p.Conditions.Serving
	return p.ready() || serving && p.Conditions.Terminating != nil && *p.Conditions.Terminating
}

func (p endpoint) node() string {
	if p.NodeName == nil {
		return ""
	}
	return *p.NodeName
}

// name is the pod's, or the address of what is none.
func (p endpoint) name() string {
	if ref := p.TargetRef; ref != nil && ref.Kind == "Pod" && ref.Name != "" {
		return ref.Name
	}
	return p.Addresses[0]
}

// addr is invalid for names.
func (p endpoint) addr() netip.Addr {
	addr, _ := netip.ParseAddr(p.Addresses[0])
	return addr.Unmap()
}

// readyEndpoints are those that take connections, or those that still do while
// they terminate if there are no others.
func (e *examination) readyEndpoints() []endpoint {
	var ready, leaving []endpoint
	for _, p := range e.endpoints {
		switch {
		case p.ready():
			ready = append(ready, p)
		case p.answers():
			leaving = append(leaving, p)
		}
	}
	if len(ready) > 0 {
		return ready
	}
	return leaving
}

// SettleTime is how long something new is given to settle. Until then a verdict may
// change by the passing of time alone.
const SettleTime = time.Minute

// recent tells whether a change may still be on its way.
func (e *examination) recent(changed time.Time) bool {
	return !e.Now.IsZero() && !changed.IsZero() && e.Now.Sub(changed) < SettleTime
}

// changedJustNow tells whether what follows the Service may not have seen its
// last change. Who changed which field when is in the managed fields; changes of
// the status are nobody's business.
func (e *examination) changedJustNow() bool {
	changed := e.Service.CreationTimestamp.Time
	for _, fields := range e.Service.ManagedFields {
		if fields.Subresource == "" && fields.Time != nil && fields.Time.After(changed) {
			changed = fields.Time.Time
		}
	}
	return e.recent(changed)
}

// headless and its likes tell what kind of Service it is.
func (e *examination) headless() bool { return e.Service.Spec.ClusterIP == corev1.ClusterIPNone }

func (e *examination) externalName() bool { return typeOf(e.Service) == corev1.ServiceTypeExternalName }

// proxied tells whether nodes have to be programmed for it.
func (e *examination) proxied() bool { return !e.headless() && !e.externalName() }

func (e *examination) selects() bool { return len(e.Service.Spec.Selector) > 0 && !e.externalName() }

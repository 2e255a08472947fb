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

package records

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/internal/discovery"
)

// Answer is what there is on a Service.
type Answer struct {
	Namespace string             `json:"namespace"`
	Service   string             `json:"service"`
	Records   []discovery.Record `json:"records"`
	// Hints are on what has no record, or one that may surprise.
	Hints []Hint `json:"hints,omitempty"`
	// NotRead says what could not be read, and what is missing therefore.
	NotRead []string `json:"notRead,omitempty"`
}

// Hint is one thing that a reader may look for in vain.
type Hint struct {
	Message string `json:"message"`
	// Remedy is empty where all is as it should be.
	Remedy string `json:"remedy,omitempty"`
}

// List makes the answer for svc, whose slices are eps.
func List(svc *corev1.Service, eps []*discoveryv1.EndpointSlice, o discovery.Options) *Answer {
	a := &Answer{Namespace: svc.Namespace, Service: svc.Name, Records: []discovery.Record{}}
	a.Records = append(a.Records, discovery.Records(svc, eps, o)...)
	switch {
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		a.externalName(svc, eps)
		return a
	case svc.Spec.ClusterIP == corev1.ClusterIPNone:
		a.headless(eps, o)
	default:
		a.clusterIP(svc)
	}
	a.unready(eps)
	return a
}

func (a *Answer) hint(remedy, format string, args ...any) {
	a.Hints = append(a.Hints, Hint{Message: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (a *Answer) externalName(svc *corev1.Service, eps []*discoveryv1.EndpointSlice) {
	if _, err := netip.ParseAddr(svc.Spec.ExternalName); err == nil {
		a.hint("make it a Service without selector, and an EndpointSlice with that address",
			"externalName %s is an address, which a CNAME can not lead to: the name does not exist (NXDOMAIN)", svc.Spec.ExternalName)
	} else if len(a.Records) == 0 && svc.Spec.ExternalName != "" {
		a.hint("give a name that DNS can have",
			"externalName %s has a label of more than 63 characters, which no answer can hold: the name does not exist (NXDOMAIN)",
			svc.Spec.ExternalName)
	}
	if len(svc.Spec.Ports) > 0 || len(eps) > 0 {
		a.hint("", "an ExternalName is a CNAME and nothing else: ports and endpoints have no names")
	}
}

func (a *Answer) clusterIP(svc *corev1.Service) {
	if svc.Spec.ClusterIP == "" {
		a.hint("see `switchyard why` for the reason", "the Service has no ClusterIP yet: its name exists, and has no address")
	}
	for i := range svc.Spec.Ports {
		if port := &svc.Spec.Ports[i]; port.Name == "" {
			a.hint("give the port a name", "port %d/%s has no name, and so no SRV record", port.Port, port.Protocol)
		}
	}
}

func (a *Answer) headless(eps []*discoveryv1.EndpointSlice, o discovery.Options) {
	if len(a.Records) == 0 {
		a.hint("see `switchyard why` for the reason, or set publishNotReadyAddresses if peers have to find each other first",
			"no endpoint of this headless Service is ready: the name does not exist (NXDOMAIN)")
		return
	}
	var unnamed []string
	portless := false
	for _, slice := range eps {
		portless = portless || len(slice.Ports) == 0
		for _, port := range slice.Ports {
			if port.Port != nil && (port.Name == nil || *port.Name == "") {
				unnamed = append(unnamed, fmt.Sprint(*port.Port))
			}
		}
	}
	slices.Sort(unnamed)
	if unnamed = slices.Compact(unnamed); len(unnamed) > 0 {
		a.hint("give the port a name", "port %s of the endpoints has no name, and so no SRV records", strings.Join(unnamed, ", "))
	}
	if portless {
		a.hint("list the ports in the Service", "there are endpoints without ports, which have no SRV records")
	}
	if !o.EndpointPodNames && !slices.ContainsFunc(eps, hasHostname) {
		a.hint("", "endpoints are named after their addresses, which change: pods with hostname and subdomain, as a StatefulSet's with this serviceName, keep names")
	}
}

func hasHostname(slice *discoveryv1.EndpointSlice) bool {
	return slices.ContainsFunc(slice.Endpoints, func(e discoveryv1.Endpoint) bool { return e.Hostname != nil && *e.Hostname != "" })
}

func (a *Answer) unready(eps []*discoveryv1.EndpointSlice) {
	count := 0
	for _, slice := range eps {
		if slice.AddressType == discoveryv1.AddressTypeFQDN {
			a.hint("list addresses, or make the Service an ExternalName", "EndpointSlice %s is of names, which have no records", slice.Name)
		}
		for i := range slice.Endpoints {
			if ready := slice.Endpoints[i].Conditions.Ready; ready != nil && !*ready {
				count += len(slice.Endpoints[i].Addresses)
			}
		}
	}
	if count > 0 && len(a.Records) > 0 {
		a.hint("see `switchyard why` for the reason", "%d addresses of endpoints that are not ready have no records", count)
	}
}

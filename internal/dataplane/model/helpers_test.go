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

package model

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type serviceOption func(*corev1.Service)

// makeService is default/NAME with ClusterIP 10.96.0.10 and TCP port 80.
func makeService(name string, options ...serviceOption) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: name, UID: "uid-1", CreationTimestamp: metav1.NewTime(epoch),
	}}
	clusterIPs("10.96.0.10")(svc)
	svc.Spec.Ports = []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80}}
	for _, option := range options {
		option(svc)
	}
	return svc
}

func clusterIPs(ips ...string) serviceOption {
	return func(svc *corev1.Service) { svc.Spec.ClusterIP, svc.Spec.ClusterIPs = ips[0], ips }
}

func serviceLabel(key, value string) serviceOption {
	return func(svc *corev1.Service) { svc.Labels = map[string]string{key: value} }
}

func ports(list ...corev1.ServicePort) serviceOption {
	return func(svc *corev1.Service) { svc.Spec.Ports = list }
}

func externalIPs(ips ...string) serviceOption {
	return func(svc *corev1.Service) { svc.Spec.ExternalIPs = ips }
}

func ingress(list ...corev1.LoadBalancerIngress) serviceOption {
	return func(svc *corev1.Service) { svc.Status.LoadBalancer.Ingress = list }
}

func createdAfter(d time.Duration) serviceOption {
	return func(svc *corev1.Service) { svc.CreationTimestamp = metav1.NewTime(epoch.Add(d)) }
}

type sliceOption func(*discoveryv1.EndpointSlice)

// makeSlice is an IPv4 slice of default/SERVICE with the unnamed TCP port 8080.
func makeSlice(service, name string, options ...sliceOption) *discoveryv1.EndpointSlice {
	eps := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: name,
			Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{slicePortOf("", "TCP", 8080)},
	}
	for _, option := range options {
		option(eps)
	}
	return eps
}

func slicePortOf(name string, protocol corev1.Protocol, number int32) discoveryv1.EndpointPort {
	return discoveryv1.EndpointPort{Name: &name, Protocol: &protocol, Port: &number}
}

func slicePorts(list ...discoveryv1.EndpointPort) sliceOption {
	return func(eps *discoveryv1.EndpointSlice) { eps.Ports = list }
}

func addressType(t discoveryv1.AddressType) sliceOption {
	return func(eps *discoveryv1.EndpointSlice) { eps.AddressType = t }
}

func sliceLabel(key, value string) sliceOption {
	return func(eps *discoveryv1.EndpointSlice) { eps.Labels[key] = value }
}

// endpoint adds one with the conditions named in state: any of "ready",
// "serving", "terminating"; an empty state leaves all of them unset.
func endpoint(address, state string) sliceOption {
	return func(eps *discoveryv1.EndpointSlice) {
		added := discoveryv1.Endpoint{Addresses: []string{address}}
		if state != "" {
			added.Conditions = discoveryv1.EndpointConditions{
				Ready:       new(strings.Contains(state, "ready")),
				Serving:     new(strings.Contains(state, "serving")),
				Terminating: new(strings.Contains(state, "terminating")),
			}
		}
		eps.Endpoints = append(eps.Endpoints, added)
	}
}

// externalVIPs are external and load balancer IPs of one family.
func externalVIPs(port ServicePort, family Family) []netip.Addr {
	return sortedSet(append(ofFamily(port.ExternalIPs, family), ofFamily(port.LoadBalancerIPs, family)...))
}

// describe prints what the store answers, one line per ServicePort and family.
func describe(s *Store) []string {
	var lines []string
	for _, name := range s.Names() {
		port, _ := s.ServicePort(name)
		for _, family := range []Family{IPv4, IPv6} {
			clusterIP, ok := port.ClusterIP(family)
			if !ok {
				continue
			}
			line := fmt.Sprintf("%s %s", name, netip.AddrPortFrom(clusterIP, port.Port))
			if vips := externalVIPs(port, family); len(vips) > 0 {
				line += fmt.Sprintf(" vips=%v", vips)
			}
			if port.NodePort != 0 {
				line += fmt.Sprintf(" nodePort=%d", port.NodePort)
			}
			for _, e := range s.Endpoints(name, family) {
				line += " " + describeEndpoint(e)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func describeEndpoint(e Endpoint) string {
	text := e.Addr.String()
	for _, flag := range []struct {
		set  bool
		name string
	}{{e.Ready, "r"}, {e.Serving, "s"}, {e.Terminating, "t"}} {
		if flag.set {
			text += "/" + flag.name
		}
	}
	return text
}

func describeProblems(s *Store) []string {
	var lines []string
	for _, problem := range s.TakeProblems() {
		lines = append(lines, problem.String())
	}
	return lines
}

func storeOf(services []*corev1.Service, slices []*discoveryv1.EndpointSlice) *Store {
	s := NewStore(Options{})
	for _, svc := range services {
		s.SetService(svc)
	}
	for _, eps := range slices {
		s.SetSlice(eps)
	}
	return s
}

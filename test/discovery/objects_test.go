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

package discovery

import (
	"fmt"
	"math/rand/v2"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// namespaces are where Services are; the last two have names with a meaning.
var namespaces = []string{"shop", "bank", "svc", "pod"}

// generator makes objects that an API server takes.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 2))} }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) service(i int) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespaces[i%len(namespaces)], Name: fmt.Sprintf("s%d", i)}}
	svc.Spec.Ports = g.servicePorts()
	switch g.IntN(10) {
	case 0, 1:
		svc.Spec.Type = corev1.ServiceTypeExternalName
		svc.Spec.ExternalName = pick(g, "example.com", "example.com.", "nobody.example.com", "s1.bank.svc.cluster.local", "10-0-0-1.shop.pod.cluster.local",
			fmt.Sprintf("s%d.shop.svc.cluster.local", i), fmt.Sprintf("s%d.%s.svc.cluster.local.", i+1, namespaces[(i+1)%len(namespaces)]), "192.0.2.1", "cluster.local")
	case 2, 3, 4, 5:
		svc.Spec.ClusterIP = corev1.ClusterIPNone
		if g.chance(20) {
			svc.Spec.Ports = nil
		}
	default:
		svc.Spec.IPFamilyPolicy = new(pick(g, corev1.IPFamilyPolicySingleStack, corev1.IPFamilyPolicyPreferDualStack))
		svc.Spec.IPFamilies = []corev1.IPFamily{pick(g, corev1.IPv4Protocol, corev1.IPv6Protocol)}
		svc.Spec.Type = pick(g, corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort)
	}
	return svc
}

var portNames = []string{"http", "https", "dns", "metrics"}

func (g generator) servicePorts() []corev1.ServicePort {
	if g.chance(15) {
		return []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80}}
	}
	var ports []corev1.ServicePort
	for i, name := range portNames[:1+g.IntN(len(portNames))] {
		protocol := pick(g, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
		ports = append(ports, corev1.ServicePort{Name: name, Protocol: protocol, Port: int32(80 + i)})
	}
	if g.chance(30) { // one number for two protocols
		ports = append(ports, corev1.ServicePort{Name: "other", Protocol: corev1.ProtocolTCP, Port: 5353}, corev1.ServicePort{Name: "another", Protocol: corev1.ProtocolUDP, Port: 5353})
	}
	return ports
}

// slice is the nth of the Service s<i>, which need not exist.
func (g generator) slice(i, n int) *discoveryv1.EndpointSlice {
	service := fmt.Sprintf("s%d", i)
	eps := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespaces[i%len(namespaces)], Name: fmt.Sprintf("%s-%d", service, n), Labels: map[string]string{discoveryv1.LabelServiceName: service}}}
	format := "10.0.0.%d"
	eps.AddressType = discoveryv1.AddressTypeIPv4
	if g.chance(40) {
		eps.AddressType, format = discoveryv1.AddressTypeIPv6, pick(g, "fd00::%x", "fd00:%x::", "fd00:1:2:3:4:5:6:%x")
	}
	if g.chance(90) {
		for k, name := range portNames[:1+g.IntN(3)] {
			eps.Ports = append(eps.Ports, discoveryv1.EndpointPort{Name: new(name), Protocol: new(pick(g, corev1.ProtocolTCP, corev1.ProtocolUDP)), Port: new(int32(8080 + k + g.IntN(2)))})
		}
		if g.chance(20) {
			eps.Ports[0].Port = nil
		}
	}
	for range g.IntN(6) {
		eps.Endpoints = append(eps.Endpoints, g.endpoint(format))
	}
	return eps
}

func (g generator) endpoint(format string) discoveryv1.Endpoint {
	var e discoveryv1.Endpoint
	for range pick(g, 1, 1, 1, 2) {
		e.Addresses = append(e.Addresses, fmt.Sprintf(format, 1+g.IntN(60)))
	}
	if g.chance(40) {
		e.Hostname = new(fmt.Sprintf("db-%d", g.IntN(3)))
	}
	if g.chance(40) {
		e.TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: pick(g, "web-1", "web-2", strings.Repeat("p", 70))}
	}
	if g.chance(40) {
		e.Conditions.Ready = new(g.chance(50))
		e.Conditions.Serving, e.Conditions.Terminating = new(g.chance(50)), new(g.chance(30))
	}
	return e
}

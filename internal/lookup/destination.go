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

package lookup

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Destination is one address that was meant.
type Destination struct {
	netip.AddrPort
	Protocol corev1.Protocol
	// Name is what was typed, empty for an address.
	Name string
}

// FindDestinations reads HOST:PORT. HOST is an IP address or the name of a
// Service: SERVICE, SERVICE.NAMESPACE or either followed by .svc and the
// cluster's domain; without a namespace it is one of the namespace given. PORT
// is a number, or the name of a port of that Service. There is one destination
// for each ClusterIP of a Service, that of its first family first.
func FindDestinations(text string, protocol corev1.Protocol, namespace, domain string, services []corev1.Service) ([]Destination, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("%q is not HOST:PORT: give an IP address or the name of a Service, and a port, "+
			"as in 10.96.0.10:80, [fd00::10]:80 or web.shop:http", text)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		number, err := portNumber(port)
		if err != nil {
			return nil, err
		}
		return []Destination{{netip.AddrPortFrom(addr.Unmap(), number), orTCP(protocol), ""}}, nil
	}
	svc, err := findService(host, namespace, domain, services)
	if err != nil {
		return nil, err
	}
	number, protocol, err := servicePort(svc, port, protocol)
	if err != nil {
		return nil, err
	}
	var all []Destination
	for _, ip := range clusterIPs(svc) {
		all = append(all, Destination{netip.AddrPortFrom(ip, number), protocol, host})
	}
	if len(all) == 0 {
		return nil, noClusterIP(svc)
	}
	return all, nil
}

func orTCP(protocol corev1.Protocol) corev1.Protocol { return cmp.Or(protocol, corev1.ProtocolTCP) }

func portNumber(text string) (uint16, error) {
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return 0, fmt.Errorf("port %q is not a number from 1 to 65535", text)
	}
	return uint16(number), nil
}

func findService(host, namespace, domain string, services []corev1.Service) (*corev1.Service, error) {
	name := strings.TrimSuffix(host, ".")
	name = strings.TrimSuffix(name, "."+domain)
	name = strings.TrimSuffix(name, ".svc")
	if service, in, found := strings.Cut(name, "."); found {
		name, namespace = service, in
	}
	for i := range services {
		if services[i].Namespace == namespace && services[i].Name == name {
			return &services[i], nil
		}
	}
	for i := range services {
		if services[i].Name == name {
			return nil, fmt.Errorf("there is no Service %s in namespace %s, but one in %s: say %s.%[3]s", name, namespace, services[i].Namespace, name)
		}
	}
	return nil, fmt.Errorf("there is no Service %s in namespace %s (`kubectl get services -A` lists all)", name, namespace)
}

// servicePort finds a port by its name, or takes any number: what becomes of a
// port that the Service does not have is a fair question.
func servicePort(svc *corev1.Service, text string, protocol corev1.Protocol) (uint16, corev1.Protocol, error) {
	var names []string
	for _, port := range svc.Spec.Ports {
		matches := port.Name == text || strconv.Itoa(int(port.Port)) == text
		if matches && (protocol == "" || protocol == orTCP(port.Protocol)) {
			return uint16(port.Port), orTCP(port.Protocol), nil
		}
		names = append(names, fmt.Sprintf("%s %d/%s", port.Name, port.Port, orTCP(port.Protocol)))
	}
	number, err := portNumber(text)
	if err != nil {
		return 0, "", fmt.Errorf("service %s/%s has no port %q, it has: %s", svc.Namespace, svc.Name, text, strings.Join(names, ", "))
	}
	return number, orTCP(protocol), nil
}

func clusterIPs(svc *corev1.Service) []netip.Addr {
	var addrs []netip.Addr
	for _, text := range append([]string{svc.Spec.ClusterIP}, svc.Spec.ClusterIPs...) {
		addr, err := netip.ParseAddr(text)
		if err == nil && !hasFamily(addrs, addr.Unmap()) {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

func noClusterIP(svc *corev1.Service) error {
	name := svc.Namespace + "/" + svc.Name
	switch {
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		return fmt.Errorf("service %s is an alias of %s by DNS: no packet of it passes the Service's rules", name, svc.Spec.ExternalName)
	case svc.Spec.ClusterIP == corev1.ClusterIPNone:
		return fmt.Errorf("service %s is headless: clients connect to its pods themselves, ask for one of their addresses", name)
	}
	return errors.New("service " + name + " has no ClusterIP yet: the API server allocates one when it is created")
}

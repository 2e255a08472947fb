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

package validation

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func endpointsOf(subsets ...corev1.EndpointSubset) *corev1.Endpoints {
	return &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", ResourceVersion: "1"}, Subsets: subsets}
}

func TestValidateEndpoints(t *testing.T) {
	for name, tc := range map[string]struct {
		subset corev1.EndpointSubset
		want   []string
	}{
		"V30 no ports": {subset: corev1.EndpointSubset{NotReadyAddresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}}}},
		"V30 empty":    {want: []string{"subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"}},
		"V30 addresses": {subset: corev1.EndpointSubset{Addresses: []corev1.EndpointAddress{{IP: "10.0.0"}, {IP: "127.0.0.1", Hostname: "A"}, {IP: "10.0.0.1", NodeName: new("")}}},
			want: []string{`subsets[0].addresses[0].ip: Invalid value: "10.0.0": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
				`subsets[0].addresses[0].ip: Invalid value: "10.0.0": must be a valid IP address`,
				`subsets[0].addresses[1].hostname: Invalid value: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
				`subsets[0].addresses[1].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)`,
				`subsets[0].addresses[2].nodeName: Invalid value: "": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`}},
		"V30 ports": {subset: corev1.EndpointSubset{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}},
			Ports: []corev1.EndpointPort{{Name: "a", Port: 0, Protocol: corev1.ProtocolTCP}, {Port: 1}}},
			want: []string{"subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive", "subsets[0].ports[1].name: Required value",
				"subsets[0].ports[1].protocol: Required value"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantErrors(t, ValidateEndpoints(endpointsOf(tc.subset), Options{}), tc.want)
			wantErrors(t, ValidateEndpointsUpdate(endpointsOf(), endpointsOf(tc.subset), Options{}), tc.want)
			// V30: subsets that stay as they are may be wrong.
			wantErrors(t, ValidateEndpointsUpdate(endpointsOf(tc.subset), endpointsOf(tc.subset), Options{}), nil)
		})
	}
}

func sliceOf(addressType discoveryv1.AddressType, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "web", Namespace: "default", ResourceVersion: "1"},
		AddressType: addressType, Endpoints: endpoints,
	}
}

func TestValidateEndpointSlice(t *testing.T) {
	zones := func(names ...string) *discoveryv1.EndpointHints {
		hints := &discoveryv1.EndpointHints{}
		for _, name := range names {
			hints.ForZones = append(hints.ForZones, discoveryv1.ForZone{Name: name})
		}
		return hints
	}
	ip := func(addresses ...string) discoveryv1.Endpoint { return discoveryv1.Endpoint{Addresses: addresses} }
	for name, tc := range map[string]struct {
		slice *discoveryv1.EndpointSlice
		ports []discoveryv1.EndpointPort
		want  []string
	}{
		"V31 an address":    {slice: sliceOf("IPv4", ip("10.0.0.1"))},
		"V31 a name":        {slice: sliceOf("FQDN", ip("example.com"))},
		"V31 no type":       {slice: sliceOf(""), want: []string{"addressType: Required value"}},
		"V31 another type":  {slice: sliceOf("IPv5"), want: []string{`addressType: Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"`}},
		"V31 no addresses":  {slice: sliceOf("IPv4", ip()), want: []string{"endpoints[0].addresses: Required value"}},
		"V31 wrong family":  {slice: sliceOf("IPv4", ip("fd00::1")), want: []string{`endpoints[0].addresses: Invalid value: "fd00::1": must be an IPv4 address`}},
		"V31 a local one":   {slice: sliceOf("IPv6", ip("::1")), want: []string{`endpoints[0].addresses[0]: Invalid value: "::1": may not be in the loopback range (127.0.0.0/8, ::1/128)`}},
		"V31 too many":      {slice: sliceOf("IPv4", make([]discoveryv1.Endpoint, 1001)...), want: nil},
		"V31 hint twice":    {slice: sliceOf("IPv4", discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, Hints: zones("a", "a")}), want: []string{`endpoints[0].hints.forZones[1].name: Duplicate value: "a"`}},
		"V31 nine hints":    {slice: sliceOf("IPv4", discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, Hints: zones("1", "2", "3", "4", "5", "6", "7", "8", "9")}), want: []string{"endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"}},
		"V31 ports":         {slice: sliceOf("IPv4"), ports: []discoveryv1.EndpointPort{{}, {Name: new("")}}, want: []string{"ports[0].protocol: Required value", `ports[1].name: Duplicate value: ""`, "ports[1].protocol: Required value"}},
		"V31 any port goes": {slice: sliceOf("IPv4"), ports: []discoveryv1.EndpointPort{{Port: new(int32(99999)), Protocol: new(corev1.ProtocolTCP)}}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.slice.Ports = tc.ports
			got := ValidateEndpointSlice(tc.slice, Options{})
			if name == "V31 too many" {
				if first := got[0].Error(); first != "endpoints: Too many: 1001: must have at most 1000 items" {
					t.Errorf("got %q", first)
				}
				return
			}
			wantErrors(t, got, tc.want)
		})
	}
}

func TestValidateEndpointSliceUpdate(t *testing.T) {
	wrong := discoveryv1.Endpoint{Addresses: []string{"127.0.0.1"}}
	wantErrors(t, ValidateEndpointSliceUpdate(sliceOf("IPv4", wrong), sliceOf("IPv4", wrong), Options{}), nil)
	wantErrors(t, ValidateEndpointSliceUpdate(sliceOf("IPv4"), sliceOf("IPv4", wrong), Options{}), []string{
		`endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)`})
	// V31: the type stays. The declared rule's message has no value.
	wantErrors(t, ValidateEndpointSliceUpdate(sliceOf("IPv4"), sliceOf("IPv6"), Options{}), []string{"addressType: Invalid value: null: field is immutable"})
}

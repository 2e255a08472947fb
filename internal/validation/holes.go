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
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Hole is something that every server accepts in silence, and that can not mean
// what was meant.
type Hole struct {
	// ID is one of S1 to S6.
	ID      string
	Path    *field.Path
	Message string
}

// What is larger than these is S6: a webhook can not be asked about it in time.
const (
	maxPorts              = 1000
	maxExternalIPs        = 1000
	maxEndpointsAddresses = 10000
	maxEndpointsPorts     = 10000
	maxJudgedSlicePorts   = 1000
	maxOwners             = 100
)

// ServiceHoles are S1, S3, S4, S5 and S6, of a Service with its defaults.
func ServiceHoles(svc *corev1.Service) []Hole {
	var holes []Hole
	if ip := svc.Spec.LoadBalancerIP; ip != "" && !isAddress(ip) {
		holes = append(holes, Hole{"S1", specPath.Child("loadBalancerIP"), fmt.Sprintf("%q is not an IP address; the server stores whatever stands here", ip)})
	}
	holes = append(holes, tooMany(specPath.Child("ports"), len(svc.Spec.Ports), maxPorts, "spread them over several Services")...)
	holes = append(holes, tooMany(specPath.Child("externalIPs"), len(svc.Spec.ExternalIPs), maxExternalIPs, "spread them over several Services")...)
	holes = append(holes, tooManyOwners(&svc.ObjectMeta)...)
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		holes = append(holes, externalNameHoles(svc)...)
	}
	holes = append(holes, repeated(specPath.Child("externalIPs"), svc.Spec.ExternalIPs)...)
	holes = append(holes, repeated(specPath.Child("loadBalancerSourceRanges"), svc.Spec.LoadBalancerSourceRanges)...)
	if svc.Spec.Type == corev1.ServiceTypeClusterIP && isHeadless(svc) {
		holes = append(holes, headlessHoles(svc)...)
	}
	return holes
}

// isAddress is as CEL's isIP, which the policy S1 asks: without leading zeros,
// zones and IPv4-mapped IPv6.
func isAddress(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Zone() == "" && !addr.Is4In6()
}

// tooMany is S6.
func tooMany(path *field.Path, n, most int, remedy string) []Hole {
	if n <= most {
		return nil
	}
	return []Hole{{"S6", path, fmt.Sprintf("%d are more than %d, and too many for the admission webhooks to judge: %s", n, most, remedy)}}
}

// EndpointsHoles is S6.
func EndpointsHoles(endpoints *corev1.Endpoints) []Hole {
	addresses, ports := 0, 0
	for _, subset := range endpoints.Subsets {
		addresses += len(subset.Addresses) + len(subset.NotReadyAddresses)
		ports += len(subset.Ports)
	}
	const remedy = "write EndpointSlices, each with some of them"
	holes := tooMany(field.NewPath("subsets"), addresses, maxEndpointsAddresses, remedy)
	holes = append(holes, tooMany(field.NewPath("subsets"), ports, maxEndpointsPorts, remedy)...)
	return append(holes, tooManyOwners(&endpoints.ObjectMeta)...)
}

func tooManyOwners(meta *metav1.ObjectMeta) []Hole {
	return tooMany(field.NewPath("metadata", "ownerReferences"), len(meta.OwnerReferences), maxOwners, "name those that matter")
}

// externalNameHoles is S3: nothing of a Service but its DNS name is used.
func externalNameHoles(svc *corev1.Service) []Hole {
	const id, why = "S3", "an ExternalName Service is a DNS alias and nothing else; "
	var holes []Hole
	if len(svc.Spec.Selector) > 0 {
		holes = append(holes, Hole{id, specPath.Child("selector"), why + "no endpoints are made for the selector"})
	}
	for i, port := range svc.Spec.Ports {
		path := specPath.Child("ports").Index(i)
		if port.NodePort != 0 {
			holes = append(holes, Hole{id, path.Child("nodePort"), why + "the number is not reserved, and another Service may get it"})
		}
		if port.TargetPort.StrVal != "" || port.TargetPort.IntVal != port.Port {
			holes = append(holes, Hole{id, path.Child("targetPort"), why + "clients reach the port that they ask for"})
		}
	}
	return holes
}

// repeated is S4. Two spellings of one address are the same.
func repeated(path *field.Path, values []string) []Hole {
	var holes []Hole
	first := map[string]int{}
	for i, value := range values {
		key := canonical(value)
		if j, again := first[key]; again {
			holes = append(holes, Hole{"S4", path.Index(i), fmt.Sprintf("%q is there already, as %s", value, path.Index(j))})
			continue
		}
		first[key] = i
	}
	return holes
}

func canonical(value string) string {
	value = strings.TrimSpace(value)
	if addr, err := netip.ParseAddr(value); err == nil {
		return addr.String()
	}
	if prefix, err := netip.ParsePrefix(value); err == nil {
		return prefix.String()
	}
	return value
}

// headlessHoles is S5. The server itself warns of sessionAffinity.
func headlessHoles(svc *corev1.Service) []Hole {
	const id, why = "S5", "ignored for headless services: clients connect to the endpoints themselves"
	var holes []Hole
	if policy := svc.Spec.InternalTrafficPolicy; policy != nil && *policy == corev1.ServiceInternalTrafficPolicyLocal {
		holes = append(holes, Hole{id, specPath.Child("internalTrafficPolicy"), why})
	}
	if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		holes = append(holes, Hole{id, specPath.Child("externalTrafficPolicy"), why})
	}
	if svc.Spec.TrafficDistribution != nil {
		holes = append(holes, Hole{id, specPath.Child("trafficDistribution"), why})
	}
	return holes
}

// EndpointSliceHoles are S2 and S6. A port without a number means every port.
func EndpointSliceHoles(slice *discoveryv1.EndpointSlice) []Hole {
	var holes []Hole
	for i, port := range slice.Ports {
		if port.Port != nil && (*port.Port < 1 || *port.Port > 65535) {
			holes = append(holes, Hole{"S2", field.NewPath("ports").Index(i).Child("port"),
				fmt.Sprintf("%d is no port number (1-65535); the server does not look", *port.Port)})
		}
	}
	holes = append(holes, tooMany(field.NewPath("ports"), len(slice.Ports), maxJudgedSlicePorts, "spread them over several slices")...)
	return append(holes, tooManyOwners(&slice.ObjectMeta)...)
}

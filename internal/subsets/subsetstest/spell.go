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

// Package subsetstest is for tests of who makes or reads Endpoints.
package subsetstest

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Spell prints subsets the short way: "10.0.0.1 !10.0.0.2 @ http:8080/TCP", with
// an exclamation mark before what is not ready.
func Spell(subsets []corev1.EndpointSubset) []string {
	lines := []string{}
	for _, subset := range subsets {
		var words []string
		for _, address := range subset.Addresses {
			words = append(words, address.IP)
		}
		for _, address := range subset.NotReadyAddresses {
			words = append(words, "!"+address.IP)
		}
		words = append(words, "@")
		for _, port := range subset.Ports {
			words = append(words, fmt.Sprintf("%s:%d/%s", port.Name, port.Port, port.Protocol))
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines
}

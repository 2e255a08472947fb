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

package webhooks

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"switchyard.dev/switchyard/allocator"
)

// heldPorts are the numbers that the Service has on every node, its health check's
// among them, once each: two protocols of one Service may share a number.
func heldPorts(svc *corev1.Service) []int32 {
	if svc == nil {
		return nil
	}
	var ports []int32
	for _, holding := range allocator.HoldingsOf(svc) {
		if holding.Number.IsPort() {
			ports = append(ports, holding.Number.Port)
		}
	}
	return ports
}

// checkNodePortHeld is X20. The API server keeps its node ports in a bitmap, and
// at times loses some of them: an update that is lost to another has freed its
// port already, and of two Services on one port the deletion of either frees it.
// Until its repair, minutes later, it gives such a port to the next Service,
// whatever mutating admission has said. Validating admission comes after the
// allocation, so that here is where the second Service can be refused.
func checkNodePortHeld(ctx context.Context, world World, change ServiceChange) ([]Finding, error) {
	had := setOf(heldPorts(change.Old))
	var found []Finding
	for _, port := range heldPorts(change.New) {
		if had[port] {
			continue
		}
		holders, err := world.ServicesByNodePort(ctx, port)
		if err != nil {
			return found, err
		}
		others := change.others(holders)
		if len(others) == 0 {
			continue
		}
		found = append(found, Finding{Path: pathOfPort(change.New, port), Value: port, Detail: fmt.Sprintf(
			"%s holds this port, though the API server gave it out again; try again, or ask for another port",
			world.NameOf(ctx, others[0]))})
		if len(found) >= maxFindings {
			break
		}
	}
	return found, nil
}

// pathOfPort is the first field with the number.
func pathOfPort(svc *corev1.Service, number int32) *field.Path {
	for i, port := range svc.Spec.Ports {
		if port.NodePort == number {
			return field.NewPath("spec", "ports").Index(i).Child("nodePort")
		}
	}
	return field.NewPath("spec", "healthCheckNodePort")
}

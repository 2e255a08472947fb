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

package placeholder

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
)

// takenMessage is how the API server says that it has given a port.
const takenMessage = "provided port is already allocated"

// notReadyMessage is what it says of a ServiceCIDR that is being removed. Of two,
// one in each family, it draws others within so many attempts in 999 of 1,000 cases.
const (
	notReadyMessage = "allocator not ready"
	probeAttempts   = 24
)

// FirstTaken asks the API server which of these ports it would not give now, 0
// for none. The dry run of a create is the only way to read its bitmap of ports:
// it looks there and writes nothing. Of several taken ones it names the first.
//
// A dry run also looks at a ServiceCIDR, drawn at random, and fails when that is
// one that is being removed: then it is asked once more.
func FirstTaken(ctx context.Context, c client.Client, namespace string, ports ...int32) (int32, error) {
	probe := Ports(namespace, ports...)
	probe.Name = "probe-" + allocator.PortNumber(ports[0]).ObjectName()
	var err error
	for range probeAttempts {
		err = c.Create(ctx, probe.DeepCopy(), client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), notReadyMessage) {
			break
		}
	}
	if err == nil {
		return 0, nil
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if !strings.Contains(cause.Message, takenMessage) {
				continue
			}
			for i, port := range ports {
				if cause.Field == fmt.Sprintf("spec.ports[%d].nodePort", i) {
					return port, nil
				}
			}
		}
	}
	return 0, fmt.Errorf("asking whether ports %v are taken: %w", ports, err)
}

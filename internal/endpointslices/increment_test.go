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

package endpointslices

import (
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// TestAnEmptySliceIsPlannedAsAWhole: it is there for a pod that has ports of its
// own and no endpoint, and goes with the pod, which shows in no slice.
func TestAnEmptySliceIsPlannedAsAWhole(t *testing.T) {
	in, existing := large(3)
	empty := newSlice(in.Service, labelsFor(in.Service, managedBy), discoveryv1.AddressTypeIPv4, []discoveryv1.EndpointPort{})
	empty.Name = "web-empty"
	in.Existing = append(existing, empty)
	if plans, ok := Increment(in, []Change{{Name: "gone"}}); ok {
		t.Errorf("planned alone: %+v", plans)
	}
	if plans := Plans(in); len(plans[0].Delete) != 1 || plans[0].Delete[0] != empty {
		t.Errorf("the whole plan is %+v, want the empty slice to go", plans)
	}
}

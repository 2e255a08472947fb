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

package subsets

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestTruncateSharesTheRoom(t *testing.T) {
	subset := func(port int32, ready, notReady int) corev1.EndpointSubset {
		return corev1.EndpointSubset{
			Addresses:         make([]corev1.EndpointAddress, ready),
			NotReadyAddresses: make([]corev1.EndpointAddress, notReady),
			Ports:             []corev1.EndpointPort{{Port: port}},
		}
	}
	type sizes [][2]int
	cases := map[string]struct {
		subsets []corev1.EndpointSubset
		want    sizes
	}{
		"what fits stays":                                {[]corev1.EndpointSubset{subset(1, 6, 4)}, sizes{{6, 4}}},
		"ready ones push the others out":                 {[]corev1.EndpointSubset{subset(1, 10, 5), subset(2, 0, 5)}, sizes{{10, 0}}},
		"a subset that loses all its addresses goes":     {[]corev1.EndpointSubset{subset(1, 12, 5), subset(2, 0, 5)}, sizes{{10, 0}}},
		"others share what ready ones leave, rounded up": {[]corev1.EndpointSubset{subset(1, 3, 7), subset(2, 2, 7)}, sizes{{3, 3}, {2, 2}}},
		"too many ready ones share in proportion":        {[]corev1.EndpointSubset{subset(1, 15, 1), subset(2, 5, 0)}, sizes{{8, 0}, {2, 0}}},
	}
	for title, tc := range cases {
		t.Run(title, func(t *testing.T) {
			cut, _ := Truncate(tc.subsets, 10)
			got := sizes{}
			for _, subset := range cut {
				got = append(got, [2]int{len(subset.Addresses), len(subset.NotReadyAddresses)})
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("addresses, ready and other (-want +got):\n%s", diff)
			}
		})
	}
}

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

package differential

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	upstream "k8s.io/kubernetes/pkg/api/v1/endpoints"

	"switchyard.dev/switchyard/internal/subsets"
)

// seedVariable names the environment variable that varies what is generated.
const seedVariable = "SWITCHYARD_DIFFERENTIAL_SEED"

// generator is seeded by the environment, or else the same every time.
func generator(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(1)
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("%s=%d", seedVariable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// TestSubsetsArePackedAsTheServers compares internal/subsets with what the API
// server and kube-controller-manager pack subsets with. Theirs are in the order of
// a hash, ours in that of names.
func TestSubsetsArePackedAsTheServers(t *testing.T) {
	r := generator(t)
	parted, joined, unready := 0, 0, 0
	for range 20_000 {
		list := anySubsets(r)
		want := upstream.RepackSubsets(list)
		got := upstream.SortSubsets(subsets.Repack(list))
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("of %s\n got %s\nwant %s", spelled([]any{list}), spelled([]any{got}), spelled([]any{want}))
		}
		for i := range want {
			if len(want[i].Ports) > 1 {
				joined++
			}
			unready += len(want[i].NotReadyAddresses)
		}
		if len(want) > 1 {
			parted++
		}
	}
	t.Logf("%d lists of more than one subset, %d subsets of more than one port, %d addresses that are not ready", parted, joined, unready)
	if min(parted, joined, unready) < 4_000 {
		t.Error("the generator makes too little of something")
	}
}

// anySubsets share ports and addresses, which are not always said the same of.
func anySubsets(r *rand.Rand) []corev1.EndpointSubset {
	// Theirs compares the pointers, which all subsets that a controller makes of
	// one Service have in common.
	protocols := []*string{nil, nil, new("http"), new("kubernetes.io/h2c")}
	address := func() corev1.EndpointAddress {
		a := corev1.EndpointAddress{IP: fmt.Sprintf("10.0.0.%d", r.IntN(5))}
		if r.IntN(3) > 0 {
			uid := types.UID(fmt.Sprint("uid-", r.IntN(3)))
			a.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "of-" + string(uid), UID: uid}
		}
		if r.IntN(4) == 0 {
			a.Hostname = fmt.Sprint("host-", r.IntN(2))
		}
		if r.IntN(4) == 0 {
			a.NodeName = new(fmt.Sprint("node-", r.IntN(2)))
		}
		return a
	}
	list := make([]corev1.EndpointSubset, r.IntN(6))
	for i := range list {
		for range r.IntN(4) {
			list[i].Addresses = append(list[i].Addresses, address())
		}
		for range r.IntN(3) {
			list[i].NotReadyAddresses = append(list[i].NotReadyAddresses, address())
		}
		for range r.IntN(4) {
			list[i].Ports = append(list[i].Ports, corev1.EndpointPort{
				Name: []string{"", "web", "dns"}[r.IntN(3)], Port: 1 + r.Int32N(2),
				Protocol:    []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolTCP, corev1.ProtocolUDP}[r.IntN(3)],
				AppProtocol: protocols[r.IntN(len(protocols))],
			})
		}
	}
	return list
}

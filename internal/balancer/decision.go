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

package balancer

import (
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Decision is what a Service is to have. Its messages name nothing of other
// namespaces, as whoever may read the Service reads them.
type Decision struct {
	Service types.NamespacedName
	UID     types.UID
	// Addrs are in the order of the Service's families.
	Addrs []netip.Addr
	// Satisfied is true for a Service that waits for nothing that it needs.
	Satisfied bool
	// Reason and Message of a Service that waits are as it was when it was last
	// looked at, which is when there was something to gain.
	Reason  Reason
	Message string
	// Lost are those that it had and has no longer.
	Lost []Loss
}

// Loss is an address that a Service had.
type Loss struct {
	Addr    netip.Addr
	Reason  Reason
	Message string
}

func (d Decision) equal(other Decision) bool {
	return d.UID == other.UID && d.Satisfied == other.Satisfied && d.Reason == other.Reason && d.Message == other.Message &&
		slices.Equal(d.Addrs, other.Addrs) && slices.Equal(d.Lost, other.Lost)
}

// Outcome is what follows from what has changed.
type Outcome struct {
	// Decisions are about Services of which something is to be written or told,
	// those that lose an address first.
	Decisions []Decision
	// Claims are those whose holders have changed, by address.
	Claims []Claim
}

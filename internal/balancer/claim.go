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
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// Claim is the record of one address.
type Claim struct {
	Addr netip.Addr
	// Holders are in the order in which they came. Without any, the address is free.
	Holders []Holder
	// Leaving are Services that had it. A write that was begun before may be about
	// to show it in their status, so nobody gets it yet.
	Leaving []Holder
}

// Holder is a Service that has the address.
type Holder struct {
	Service types.NamespacedName
	UID     types.UID
	// Terms stand for all that sharing depends on, as it was when the holder was
	// last seen to share lawfully. If two can not share any longer, the one
	// whose terms have changed since goes. It is empty where there is one holder.
	Terms string
}

// terms is the same for two states of a Service that share alike.
func (s *Service) terms() string {
	namespaces := slices.Compact(slices.Sorted(slices.Values(s.SharesWith)))
	selector := []string{}
	for _, key := range slices.Sorted(maps.Keys(s.Selector)) {
		selector = append(selector, key, s.Selector[key])
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %t %q %v", s.SharingKey, namespaces, s.Local, selector, s.sorted().Ports))
	return hex.EncodeToString(sum[:8])
}

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

package discovery

import (
	"cmp"
	"net/netip"
	"slices"
)

// Question is what is asked of an Index.
type Question struct {
	// Name is what stands before the zone, in lower case and without a final
	// dot: "web.shop.svc". It is empty for the zone itself.
	Name string
	// Zone is the zone as it was written in the question: names in an answer
	// end like it.
	Zone string
	Type Type
}

// Answer is what an Index has on a Question. It can be used again for another
// one, so that answering takes no memory.
type Answer struct {
	// Addresses are for A and AAAA.
	Addresses []netip.Addr
	// Target is for CNAME, and for A and AAAA where there is one; fully
	// qualified.
	Target string
	// Services are for SRV.
	Services []Service
	// Glue are the addresses of the targets of Services.
	Glue []Glue
}

// Service is what an SRV record says.
type Service struct {
	Target string
	Port   uint16
	Weight uint16
}

// Glue is an address of a name.
type Glue struct {
	Name    string
	Address netip.Addr
}

func (a *Answer) reset() {
	a.Addresses, a.Target, a.Services, a.Glue = a.Addresses[:0], "", a.Services[:0], a.Glue[:0]
}

// settle orders what was gathered and drops what is there twice.
func (a *Answer) settle() {
	slices.SortFunc(a.Addresses, netip.Addr.Compare)
	a.Addresses = slices.Compact(a.Addresses)
	slices.SortFunc(a.Services, func(a, b Service) int { return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Port, b.Port)) })
	a.Services = slices.Compact(a.Services)
	slices.SortFunc(a.Glue, func(a, b Glue) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.Address.Compare(b.Address)) })
	a.Glue = slices.Compact(a.Glue)
}

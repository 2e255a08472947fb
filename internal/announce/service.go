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

package announce

import "switchyard.dev/switchyard/internal/dataplane/model"

// Service is what of a Service that has an address matters here.
type Service struct {
	// Local is externalTrafficPolicy Local.
	Local bool
	// Nodes have an endpoint of the address's family that takes connections; it is
	// of no interest unless Local.
	Nodes map[string]struct{}
}

// ServiceOf reads a Service from the endpoints of all of its ports in the
// address's family. As on each node, those that terminate and still serve
// take connections while there is no ready one (KEP-1669).
func ServiceOf(local bool, endpoints []model.Endpoint) Service {
	s := Service{Local: local}
	if !local {
		return s
	}
	ready, serving := map[string]struct{}{}, map[string]struct{}{}
	for i := range endpoints {
		e := &endpoints[i]
		switch {
		case e.NodeName == "":
		case e.Ready:
			ready[e.NodeName] = struct{}{}
		case e.Serving && e.Terminating:
			serving[e.NodeName] = struct{}{}
		}
	}
	s.Nodes = ready
	if len(ready) == 0 {
		s.Nodes = serving
	}
	return s
}

// Place is where the Services of one address can be reached. The zero value is
// nowhere.
type Place struct {
	somewhere bool
	// all have to name a node; none of them is empty.
	all []map[string]struct{}
}

// PlaceOf is where all of the Services that share an address can be reached. One
// that has no endpoint anywhere does not count beside others: it can not be
// served, and it must not take the others off the network.
func PlaceOf(services []Service) Place {
	var p Place
	for _, s := range services {
		switch {
		case !s.Local:
			p.somewhere = true
		case len(s.Nodes) > 0:
			p.somewhere = true
			p.all = append(p.all, s.Nodes)
		}
	}
	return p
}

// Anywhere says whether every node will do.
func (p Place) Anywhere() bool { return p.somewhere && len(p.all) == 0 }

// Has says whether the node is such a place.
func (p Place) Has(node string) bool {
	for _, nodes := range p.all {
		if _, here := nodes[node]; !here {
			return false
		}
	}
	return p.somewhere
}

// Refusal is why a node of that standing may not announce an address of these
// Services, empty if it may.
func Refusal(node string, standing Standing, why Reason, services []Service) Reason {
	switch {
	case standing == Unfit:
		return why
	case len(services) == 0:
		return NoService
	case !PlaceOf(services).Has(node):
		return NoEndpoint
	}
	return ""
}

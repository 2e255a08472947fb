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

package policy

import (
	"reflect"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Decide settles how one ServicePort is treated in one family, given its
// endpoints of that family as package model merges them. ok is false when the
// Service is not proxied in the family: it has no ClusterIP there.
func Decide(port model.ServicePort, endpoints []model.Endpoint, family model.Family) (decision Decision, ok bool) {
	clusterIP, ok := port.ClusterIP(family)
	if !ok {
		return Decision{}, false
	}
	return Decision{
		Name:        port.Name,
		Family:      family,
		Port:        port.Port,
		ClusterIP:   clusterIP,
		ExternalIPs: port.ExternalVIPs(family),
		NodePort:    port.NodePort,
		Cluster:     addresses(usable(endpoints)),
		Known:       addresses(known(endpoints)),
	}, true
}

// Equal says whether two Decisions mean the same.
func Equal(a, b Decision) bool { return reflect.DeepEqual(a, b) }

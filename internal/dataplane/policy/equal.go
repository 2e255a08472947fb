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
	"maps"
	"slices"
)

// Equal says whether two Decisions mean the same. It is asked for every
// ServicePort that an event concerns, and allocates nothing.
func Equal(a, b Decision) bool {
	return a.Name == b.Name && a.Family == b.Family &&
		a.Port == b.Port && a.NodePort == b.NodePort && a.ClusterIP == b.ClusterIP &&
		slices.Equal(a.ExternalIPs, b.ExternalIPs) && slices.Equal(a.LoadBalancerIPs, b.LoadBalancerIPs) && a.Pooled == b.Pooled &&
		a.Internal == b.Internal && a.External == b.External &&
		a.Scheduler == b.Scheduler && a.Affinity == b.Affinity && a.AffinityScope == b.AffinityScope &&
		// nil ranges admit everyone, empty ones no one
		(a.SourceRanges == nil) == (b.SourceRanges == nil) && slices.Equal(a.SourceRanges, b.SourceRanges) &&
		slices.Equal(a.Cluster, b.Cluster) && slices.Equal(a.Near, b.Near) && slices.Equal(a.Local, b.Local) && slices.Equal(a.Known, b.Known) &&
		maps.Equal(a.Weights, b.Weights)
}

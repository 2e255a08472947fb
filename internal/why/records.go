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

package why

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/discovery"
	"switchyard.dev/switchyard/internal/records"
)

// maxRecords is how many of a Service's records are listed.
const maxRecords = 20

// records are the lines of a zone that the Service has, those that a client may
// ask for in vain, and why.
func (r *reading) records() []string {
	service := r.facts.Service
	list := records.List(service, r.facts.Slices, discovery.Options{Zone: r.facts.Zone + ".", TTL: discovery.DefaultTTL})
	lines := make([]string, 0, min(len(list.Records), maxRecords)+len(list.Hints)+1)
	for i, record := range list.Records {
		if i == maxRecords {
			lines = append(lines, fmt.Sprintf("and %d more: `switchyard records %s/%s`", len(list.Records)-i, service.Namespace, service.Name))
			break
		}
		lines = append(lines, fmt.Sprintf("%s %s %s", record.Name, record.Type, record.Data))
	}
	if _, unseen := r.gaps.unseen[diagnosis.EndpointSlices]; unseen {
		return lines // more of them may exist
	}
	lines = append(lines, r.withoutData(list.Records)...)
	for _, hint := range list.Hints {
		lines = append(lines, hint.Message)
	}
	return lines
}

// withoutData tells of families in which the Service's name exists, and has no
// address. A resolver that asks for both is told so at once.
func (r *reading) withoutData(all []discovery.Record) []string {
	service := r.facts.Service
	headless := service.Spec.ClusterIP == corev1.ClusterIPNone
	if service.Spec.Type == corev1.ServiceTypeExternalName || headless && len(all) == 0 {
		return nil // another name's, or no name
	}
	name := fmt.Sprintf("%s.%s.svc.%s.", service.Name, service.Namespace, r.facts.Zone)
	why := "the Service has no ClusterIP of"
	if headless {
		why = "no ready endpoint has an address of"
	}
	var lines []string
	for _, family := range []struct {
		kind discovery.Type
		name corev1.IPFamily
	}{{discovery.A, corev1.IPv4Protocol}, {discovery.AAAA, corev1.IPv6Protocol}} {
		has := func(record discovery.Record) bool { return record.Name == name && record.Type == family.kind }
		if !slices.ContainsFunc(all, has) {
			lines = append(lines, fmt.Sprintf("%s %s NODATA: %s %s", name, family.kind, why, family.name))
		}
	}
	return lines
}

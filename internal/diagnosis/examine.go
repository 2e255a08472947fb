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

package diagnosis

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// examination is one run of the checks.
type examination struct {
	*Facts
	nodes map[string]*corev1.Node
	// podAddrs and ready are what is read of pods once.
	podAddrs map[*corev1.Pod][]netip.Addr
	ready    []*corev1.Pod
	// endpoints are those of all slices.
	endpoints []endpoint
	// steps are those made so far.
	steps []Step
}

// checks are the steps of the chain, in order.
var checks = []struct {
	name Check
	// check returns no state if it means nothing for the Service.
	check func(*examination) Step
	// after are checks whose problems this one could only repeat: it is left out
	// then, so that a cause is not reported once more as its own consequence.
	after []Check
}{
	{name: CheckService, check: (*examination).service},
	{name: CheckClient, check: (*examination).client},
	{name: CheckAddresses, check: (*examination).addresses},
	{name: CheckConflicts, check: (*examination).conflicts},
	{name: CheckSelector, check: (*examination).selector},
	{name: CheckReadiness, check: (*examination).readiness, after: []Check{CheckSelector}},
	{name: CheckPorts, check: (*examination).ports, after: []Check{CheckSelector}},
	{name: CheckFamilies, check: (*examination).families, after: []Check{CheckSelector}},
	{name: CheckSlices, check: (*examination).slices, after: []Check{CheckSelector, CheckReadiness, CheckPorts, CheckFamilies}},
	{name: CheckTraffic, check: (*examination).traffic, after: endpointChecks},
	{name: CheckSources, check: (*examination).sources},
	{name: CheckAgents, check: (*examination).agents},
	{name: CheckNetworkPolicies, check: (*examination).networkPolicies, after: []Check{CheckSelector}},
	{name: CheckDNS, check: (*examination).dns},
}

// endpointChecks are those that tell whether there are endpoints.
var endpointChecks = []Check{CheckSelector, CheckReadiness, CheckPorts, CheckFamilies, CheckSlices}

// Examine makes the checks. It never fails: what is missing in the facts is
// said in the report.
func Examine(f *Facts) *Report {
	f = withoutNil(f)
	e := &examination{Facts: f, podAddrs: map[*corev1.Pod][]netip.Addr{}, nodes: nodesByName(f.Nodes), endpoints: endpointsOf(f.Slices)}
	for _, c := range checks {
		if f.Service == nil && c.name != CheckService || slices.ContainsFunc(c.after, e.failed) {
			continue
		}
		if step := c.check(e); step.State != "" {
			step.Check = c.name
			step.Details = boundedList(step.Details, maxDetails)
			e.steps = append(e.steps, step.printable())
		}
	}
	unseen := slices.Sorted(maps.Values(f.Unseen))
	for i, why := range unseen {
		unseen[i] = Printable(why)
	}
	return &Report{Service: Name(f.Name), Client: clientName(f), Steps: e.steps, Verdict: verdict(f, e.steps), Unseen: slices.Compact(unseen)}
}

func (e *examination) failed(check Check) bool {
	return slices.ContainsFunc(e.steps, func(s Step) bool { return s.Check == check && s.State == Problem })
}

// unknown is the step of a check that needs what could not be read.
func unknown(kind Kind, why string) Step {
	return Step{State: Unknown, Reason: NotSeen, Message: string(kind) + " could not be read: " + why, kind: kind, why: why}
}

// withoutNil drops objects that are none, so that no check has to think of them.
func withoutNil(f *Facts) *Facts {
	clean := *f
	clean.Selected, clean.Others = present(f.Selected), present(f.Others)
	clean.Slices, clean.Nodes, clean.NetworkPolicies = present(f.Slices), present(f.Nodes), present(f.NetworkPolicies)
	return &clean
}

func present[T any](all []*T) []*T {
	if !slices.Contains(all, nil) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(object *T) bool { return object == nil })
}

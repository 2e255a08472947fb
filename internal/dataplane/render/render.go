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

package render

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
	"switchyard.dev/switchyard/internal/dataplane/ruleset"
)

// Input is what the text depends on.
type Input struct {
	Objects Objects
	Options model.Options
	Place   policy.Place
	// Nodes are the families to render, one after the other.
	Nodes    []policy.Node
	Features policy.Features
}

// Text is the table of each family as `nft -f` loads it, and what of the
// objects is not in it.
func Text(in Input) (text string, problems []model.Problem) {
	store, problems := in.Objects.Store(in.Options)
	var tables []string
	for _, node := range in.Nodes {
		tables = append(tables, table(in.Features, node, policy.DecideAll(store, node.Family, in.Place)))
	}
	return strings.Join(tables, "\n"), problems
}

func table(features policy.Features, node policy.Node, desired []policy.Decision) string {
	planner := ruleset.Planner{Features: features}
	planner.Sync(node, desired, nil)
	elements := planner.Elements()
	schema := ruleset.NewSchema(node.Family, features)
	return schema.TextWith(func(set ruleset.Set) []string {
		var lines []string
		for _, element := range elements.Sorted(set.Name) {
			lines = append(lines, schema.ElementText(element))
		}
		return lines
	})
}

// Store holds the objects, and problems are what of them can not be used.
func (o Objects) Store(options model.Options) (store *model.Store, problems []model.Problem) {
	store = model.NewStore(options)
	cidrs, problems := o.serviceCIDRs()
	store.SetServiceCIDRs(cidrs)
	for _, svc := range latest(o.Services) {
		store.SetService(svc)
		if svc.Spec.ClusterIP == "" && len(svc.Spec.ClusterIPs) == 0 && svc.Spec.Type != corev1.ServiceTypeExternalName {
			problems = append(problems, noClusterIP(svc))
		}
	}
	for _, eps := range o.EndpointSlices {
		store.SetSlice(eps)
	}
	return store, slices.Concat(problems, store.TakeProblems())
}

// noClusterIP tells of a manifest that no API server has seen yet.
func noClusterIP(svc *corev1.Service) model.Problem {
	return model.Problem{
		Object: model.Object{Kind: "Service", Namespace: svc.Namespace, Name: svc.Name},
		Field:  "spec.clusterIP", Reason: "it has none, so nothing leads to it",
		Remedy: "set one, or read the Service back from an API server, which allocates one",
	}
}

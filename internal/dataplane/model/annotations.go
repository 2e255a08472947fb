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

package model

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Annotations that this proxy understands beyond the API of Services.
const (
	// AnnotationScheduler of a Service is "random" (the default), "maglev" or
	// "weighted".
	AnnotationScheduler = "switchyard.dev/scheduler"
	// AnnotationAffinityScope of a Service with sessionAffinity ClientIP is
	// "Port" (the default), or "Service" for one endpoint behind all ports.
	AnnotationAffinityScope = "switchyard.dev/affinity-scope"
	// AnnotationWeights are shares for the scheduler "weighted": on a Service
	// those of pods and addresses (see Weights), on an EndpointSlice one
	// number, 1-65535, for all of its endpoints.
	AnnotationWeights = "switchyard.dev/weights"
)

// Annotations are all annotations that a Store reads.
func Annotations() []string {
	return []string{AnnotationScheduler, AnnotationAffinityScope, AnnotationWeights}
}

func annotationField(name string) string { return "metadata.annotations[" + name + "]" }

// readScheduling takes from svc's annotations what they ask for.
func (t *Traffic) readScheduling(svc *corev1.Service, found *problems) {
	t.Scheduler = readChoice(svc, AnnotationScheduler, Random,
		map[string]Scheduler{"random": Random, "maglev": Maglev, "weighted": Weighted}, "random, maglev or weighted", found)
	t.AffinityScope = readChoice(svc, AnnotationAffinityScope, PerPort,
		map[string]AffinityScope{"Port": PerPort, "Service": PerService}, "Port or Service", found)
	if t.AffinityScope == PerService && t.Affinity == 0 {
		found.add(annotationField(AnnotationAffinityScope), "set spec.sessionAffinity to ClientIP", "it means nothing without session affinity")
	}
	text, ok := svc.Annotations[AnnotationWeights]
	if !ok {
		return
	}
	if t.Scheduler != Weighted {
		found.add(annotationField(AnnotationWeights), "set "+AnnotationScheduler+" to weighted", "weights mean nothing to another scheduler")
		return
	}
	t.Weights = readWeights(annotationField(AnnotationWeights), text, found)
}

// readChoice reads an annotation that has one of a few values.
func readChoice[T any](svc *corev1.Service, name string, otherwise T, values map[string]T, choices string, found *problems) T {
	text, ok := svc.Annotations[name]
	if !ok {
		return otherwise
	}
	value, ok := values[strings.TrimSpace(text)]
	if !ok {
		found.add(annotationField(name), "choose "+choices, "%q is none of its values", clip(text))
		return otherwise
	}
	return value
}

// readSliceWeight is the weight of all endpoints of eps, 0 for none.
func readSliceWeight(eps *discoveryv1.EndpointSlice, found *problems) uint16 {
	text, ok := eps.Annotations[AnnotationWeights]
	if !ok {
		return 0
	}
	weight, err := parseWeight(text)
	if err != nil {
		found.add(annotationField(AnnotationWeights), "choose a whole number, 1-65535", "%q is not a weight", clip(text))
	}
	return weight
}

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

package agent

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// reasonNotProgrammed is the reason of Events about parts of objects that can
// not be used.
const reasonNotProgrammed = "NotProgrammed"

// report tells the owners of objects what of them is not used.
func (a *Agent) report(ctx context.Context, problems []model.Problem) {
	for _, problem := range problems {
		a.Metrics.Problem(problem)
		log.FromContext(ctx).Info("Part of an object is not programmed", "kind", problem.Object.Kind,
			"object", klog.KRef(problem.Object.Namespace, problem.Object.Name), "problem", problem.Message())
		a.Announcer.Announce(reference(problem.Object), reasonNotProgrammed, problem.Message())
	}
}

func reference(o model.Object) *corev1.ObjectReference {
	version := corev1.SchemeGroupVersion.String()
	if o.Kind == "EndpointSlice" {
		version = discoveryv1.SchemeGroupVersion.String()
	}
	return &corev1.ObjectReference{
		APIVersion: version, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, UID: types.UID(o.UID),
	}
}

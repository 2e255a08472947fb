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

package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// diagnosisFieldManager owns the conditions that we write, and by that nobody
// else's are touched.
const diagnosisFieldManager = "switchyard-diagnosis"

// apply writes all of our conditions, by server-side apply: it needs no version of
// the Service, leaves the conditions of others alone, and refuses one of our names
// that somebody else has written. Such are left to them.
func (r *DiagnosisReconciler) apply(ctx context.Context, service *corev1.Service, conditions []metav1.Condition, memory *diagnosisMemory) error {
	status := corev1ac.ServiceStatus()
	for _, c := range conditions {
		status.WithConditions(metav1ac.Condition().WithType(c.Type).WithStatus(c.Status).WithReason(c.Reason).WithMessage(c.Message).
			WithObservedGeneration(c.ObservedGeneration).WithLastTransitionTime(c.LastTransitionTime))
	}
	wanted := corev1ac.Service(service.Name, service.Namespace).WithUID(service.UID).WithStatus(status)
	err := r.Client.Status().Apply(ctx, wanted, client.FieldOwner(diagnosisFieldManager))
	switch {
	case err == nil:
		diagnosisWrites.WithLabelValues("written").Inc()
		if wanted.ResourceVersion != nil {
			memory.wrote = *wanted.ResourceVersion
		}
		return nil
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		// Without a field of anybody, it has gone meanwhile, or been made again.
		memory.leave(typesIn(err, conditions))
		return errLookAgain
	}
	diagnosisWrites.WithLabelValues("failed").Inc()
	return fmt.Errorf("writing the conditions of Service %s/%s: %w", service.Namespace, service.Name, err)
}

// errLookAgain says that nothing was written, as things are not what they seemed.
var errLookAgain = errors.New("the Service or its conditions are not what was read")

// typesIn are the conditions that a conflict of field managers is about.
func typesIn(err error, conditions []metav1.Condition) (types []string) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	for _, c := range conditions {
		for _, cause := range status.Status().Details.Causes {
			if cause.Type == metav1.CauseTypeFieldManagerConflict && strings.Contains(cause.Field, `"`+c.Type+`"`) {
				types = append(types, c.Type)
				break
			}
		}
	}
	return types
}

// behind tells whether a version is older than what we have written.
func behind(version, wrote string) bool {
	if wrote == "" {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(version, wrote)
	return err == nil && order < 0
}

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

package validation

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/api/validate"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var metadataPath = field.NewPath("metadata")

// validateMetadata is for an object that is being created, and for the kinds
// that the server looks at as if it were.
func validateMetadata(meta *metav1.ObjectMeta, name apivalidation.ValidateNameFunc) field.ErrorList {
	errs := apivalidation.ValidateObjectMeta(meta, true, name, metadataPath)
	return append(errs, validateFinalizers(meta)...)
}

func validateMetadataUpdate(before, after *metav1.ObjectMeta) field.ErrorList {
	errs := apivalidation.ValidateObjectMetaUpdate(after, before, metadataPath)
	return append(errs, validateFinalizers(after)...)
}

// validateFinalizers is what the core kinds add to the rules of all objects: a
// name without a slash must be one of Kubernetes' own.
func validateFinalizers(meta *metav1.ObjectMeta) field.ErrorList {
	var errs field.ErrorList
	for i, name := range meta.Finalizers {
		switch {
		case strings.Contains(name, "/"), name == "kubernetes", name == metav1.FinalizerOrphanDependents, name == metav1.FinalizerDeleteDependents:
		default:
			errs = append(errs, field.Invalid(metadataPath.Child("finalizers").Index(i), name,
				"name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return errs
}

// declaredMetadata are the rules of the metadata that its Go type declares.
func declaredMetadata(op operation.Type, before, after *metav1.ObjectMeta) field.ErrorList {
	return metavalidation.Validate_ObjectMeta(context.Background(), operation.Operation{Type: op}, metadataPath, after, before)
}

// merge puts errors of declared rules in the place of written ones that say the
// same, as API servers do since 1.36 (feature gate DeclarativeValidationBeta):
// the messages that a user sees are the declared ones.
func merge(written, declared field.ErrorList) field.ErrorList {
	ctx := context.Background()
	enforced := validate.FilterEnforcedDeclarativeErrors(ctx, declared, true)
	return append(validate.FilterCoveredHandwrittenErrors(ctx, written, enforced, true), enforced...)
}

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

package placeholder

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// answering is an API server whose answers to dry-runs come in this order.
type answering struct {
	client.Client
	answers []error
}

func (a *answering) Create(context.Context, client.Object, ...client.CreateOption) error {
	answer := a.answers[0]
	if len(a.answers) > 1 {
		a.answers = a.answers[1:]
	}
	return answer
}

func TestFirstTakenAsksAgainWhereTheServerLookedAtTheWrongPlace(t *testing.T) {
	notReady := apierrors.NewInternalError(errors.New("failed to allocate a serviceIP: allocator not ready"))
	taken := apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), "probe",
		field.ErrorList{field.Invalid(field.NewPath("spec", "ports").Index(1).Child("nodePort"), 30001, "provided port is already allocated")})
	for name, tc := range map[string]struct {
		answers []error
		want    string
	}{
		"free":                            {[]error{nil}, "0 <nil>"},
		"taken":                           {[]error{taken}, "30001 <nil>"},
		"free, at the third attempt":      {[]error{notReady, notReady, nil}, "0 <nil>"},
		"taken, at the second attempt":    {[]error{notReady, taken}, "30001 <nil>"},
		"it looks nowhere else":           {[]error{notReady}, "0 asking whether ports [30000 30001] are taken: " + notReady.Error()},
		"another error, and then a reply": {[]error{errors.New("no such luck"), taken}, "0 asking whether ports [30000 30001] are taken: no such luck"},
	} {
		t.Run(name, func(t *testing.T) {
			port, err := FirstTaken(t.Context(), &answering{answers: tc.answers}, "system", 30000, 30001)
			if got := fmt.Sprint(port, " ", err); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

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

package certificate

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// TestTheSecretIsNotOutrun: somebody deletes it each time that it is there.
func TestTheSecretIsNotOutrun(t *testing.T) {
	api := fake.NewClientBuilder().Build()
	r := &Reconciler{Secret: types.NamespacedName{Namespace: "system", Name: "certificate"}, client: api}
	plan := Plan{Make: func() (map[string][]byte, error) { return map[string][]byte{servingCert: []byte("ours")}, nil }}
	now := start
	taken := func() (after time.Duration, written bool) {
		t.Helper()
		result, err := r.keep(t.Context(), plan, &corev1.Secret{}, now)
		deleted := deleteSecret(t.Context(), api, r.Secret)
		if err := errors.Join(err, client.IgnoreNotFound(deleted)); err != nil {
			t.Fatal(err)
		}
		return result.RequeueAfter, deleted == nil
	}
	if _, written := taken(); !written {
		t.Fatal("the first is late")
	}
	for i, want := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond} {
		if after, written := taken(); written || after != want {
			t.Errorf("attempt %d: written at once (%t), and looked at again after %s in place of %s", i+2, written, after, want)
		}
		now = now.Add(want)
		if _, written := taken(); !written {
			t.Errorf("attempt %d is not made after its pause", i+2)
		}
	}
	now = now.Add(calm)
	if _, written := taken(); !written {
		t.Error("the first after a calm is late")
	}
}

func deleteSecret(ctx context.Context, api client.Client, key types.NamespacedName) error {
	secret := &corev1.Secret{}
	secret.Namespace, secret.Name = key.Namespace, key.Name
	return api.Delete(ctx, secret)
}

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
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
)

// memory is what a process knows of the Secret besides what it holds now.
type memory struct {
	// home is where the Secret is.
	home Home
	// last is the last one whose authority could sign.
	last map[string][]byte
	// written is what this process has given it last.
	written  map[string][]byte
	attempts attempts
}

// keep takes the step of the Secret. What it writes leads to the next one. Somebody
// else who keeps replacing or deleting the Secret is waited for, longer each time.
func (r *Reconciler) keep(ctx context.Context, plan Plan, secret *corev1.Secret, now time.Time) (ctrl.Result, error) {
	log := ctrl.LoggerFrom(ctx).WithValues("secret", r.Secret.String())
	if rival, disturbed := r.memory.disturbed(secret); disturbed {
		wait := r.memory.attempts.wait("", nil, now)
		if r.memory.attempts.news(rival.name) {
			log.Info("Somebody else keeps replacing or deleting the Secret of the webhook certificate",
				"writer", rival.name, "remedy", rival.secretRemedy())
		}
		if wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
	}
	log.Info("Writing the webhook certificate", "reason", plan.Why)
	data, err := plan.Make()
	if err != nil {
		return ctrl.Result{}, err
	}
	r.memory.attempts.wrote(nil, now)
	return again(r.write(ctx, secret, data, now))
}

// disturbed tells whether the Secret lacks what we wrote because of somebody else, and
// who that is: the last who wrote one of its keys. Another replica is not
// somebody else, and nor is time. Who deletes is not written down in any object.
func (m *memory) disturbed(secret *corev1.Secret) (writer, bool) {
	if maps.EqualFunc(secret.Data, m.written, bytes.Equal) {
		return writer{}, false
	}
	if secret.ResourceVersion == "" {
		return writer{name: nobodyKnown}, true
	}
	return lastWriter(secret.ManagedFields, ownsCertificate)
}

// again reads anew after a write, and when another manager was faster.
func again(err error) (ctrl.Result, error) {
	if err == nil || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil
	}
	return ctrl.Result{}, err
}

func (r *Reconciler) write(ctx context.Context, secret *corev1.Secret, data map[string][]byte, now time.Time) error {
	secret.Data = data
	if secret.ResourceVersion != "" {
		if err := r.client.Update(ctx, secret); err != nil {
			return fmt.Errorf("writing Secret %s: %w", r.Secret, err)
		}
	} else {
		secret.Namespace, secret.Name = r.Secret.Namespace, r.Secret.Name
		if err := r.client.Create(ctx, secret); err != nil {
			return fmt.Errorf("creating Secret %s for the webhook certificate: %w", r.Secret, err)
		}
	}
	r.memory.written = data
	if r.canSign(data, r.memory.home, now) {
		r.memory.last = data
	}
	return nil
}

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

package certificates

import (
	"context"
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/cmd/manager/app"
	"switchyard.dev/switchyard/test/testenv/managers"
)

var secretKey = client.ObjectKey{Namespace: managers.Namespace, Name: "switchyard-webhook-server-cert"}

// TestSomebodyElseKeepsReplacingTheSecret: the managers serve on, do not race with
// somebody else, say once who it is, and have the last word.
//
// It runs by itself: those beside each other wait for API servers by the clock.
func TestSomebodyElseKeepsReplacingTheSecret(t *testing.T) {
	s := newScene(t)
	s.start(func(int, *app.Options) {})
	load := s.populate()
	r := &rival{api: s.as("secret-sync")}
	s.pausesOf(r, r.replaceSecret)
	s.within("the managers give up", func() error {
		var secret corev1.Secret
		err := s.api.Get(t.Context(), secretKey, &secret)
		if err == nil && secret.Data["ca.key"] == nil {
			return errors.New("the Secret is somebody else's")
		}
		return err
	})
	load.stop()
	s.noCallFailed(load.failed)
	s.toldOfOnce("Somebody else keeps replacing", `"writer":"secret-sync"`, secretKey.String(), "another Secret")
}

// replaceSecret leaves nothing of ours in the Secret.
func (r *rival) replaceSecret(ctx context.Context) error {
	watching, err := r.api.Watch(ctx, &corev1.SecretList{}, client.InNamespace(secretKey.Namespace))
	if err != nil {
		return err
	}
	defer watching.Stop()
	theirs := []byte("theirs")
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-watching.ResultChan():
			secret, ok := event.Object.(*corev1.Secret)
			if !ok || secret.Name != secretKey.Name || slices.Equal(secret.Data[corev1.TLSCertKey], theirs) && len(secret.Data) == 1 {
				continue
			}
			secret.Data = map[string][]byte{corev1.TLSCertKey: theirs}
			if err := r.update(ctx, secret); err != nil {
				return err
			}
		}
	}
}

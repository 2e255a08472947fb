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

package supervisor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/localcluster/pki"
)

// tokenAccess writes a kubeconfig with a token of the ServiceAccount. The
// token lasts as long as the certificates do: nobody refreshes it.
func (s *Supervisor) tokenAccess(ctx context.Context, name, account string) (string, error) {
	token, err := s.requestToken(ctx, account, nil)
	if err != nil {
		return "", err
	}
	return s.access(name, user{token: token})
}

// nodeTokenAccess is tokenAccess with a token that says which node it is of, as
// those of pods do. It is worth nothing once the Node is deleted, so it is in a
// file that gets another one when the Node is back; clients read it again when
// they are refused.
func (s *Supervisor) nodeTokenAccess(ctx, starting context.Context, name, account, nodeName string) (string, error) {
	path := s.runDir("kubeconfigs", name+".token")
	uid, err := s.writeNodeToken(starting, path, account, nodeName, "")
	if err != nil {
		return "", err
	}
	go s.keepRunning(ctx, "token@"+nodeName, func(ctx context.Context) (err error) {
		for err == nil {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Second):
			}
			uid, err = s.writeNodeToken(ctx, path, account, nodeName, uid)
		}
		return err
	})
	return s.access(name, user{tokenFile: path})
}

// writeNodeToken writes a token for the Node unless it is the one that it is
// known to be, and returns which one it is. While there is none, the token of
// the last one stays.
func (s *Supervisor) writeNodeToken(ctx context.Context, path, account, nodeName string, known types.UID) (types.UID, error) {
	node := &metav1.PartialObjectMetadata{}
	node.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Node"))
	if err := s.client.Get(ctx, client.ObjectKey{Name: nodeName}, node); err != nil {
		if known != "" { // deleted, or the API server is away
			return known, nil
		}
		return "", fmt.Errorf("reading Node %s for its agent's token: %w", nodeName, err)
	}
	if node.UID == known {
		return known, nil
	}
	token, err := s.requestToken(ctx, account, &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID})
	if err != nil {
		return known, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return known, err
	}
	if err := os.WriteFile(path+".next", []byte(token), 0o600); err != nil {
		return known, err
	}
	return node.UID, os.Rename(path+".next", path)
}

func (s *Supervisor) requestToken(ctx context.Context, account string, to *authenticationv1.BoundObjectReference) (string, error) {
	lifetime := int64(pki.Lifetime / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime, BoundObjectRef: to}}
	holder := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: suiteNamespace, Name: account}}
	if err := s.client.SubResource("token").Create(ctx, holder, request); err != nil {
		return "", fmt.Errorf("requesting a token for ServiceAccount %s/%s: %w", suiteNamespace, account, err)
	}
	return request.Status.Token, nil
}

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

package runner

import (
	"context"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (r *Runner) configMapReader(ctx context.Context, namespace string) func(string) (map[string]string, error) {
	return func(name string) (map[string]string, error) {
		object, err := readPatiently(ctx, func() (*corev1.ConfigMap, error) {
			return r.client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
		})
		if err != nil {
			return nil, err
		}
		return merged(object.Data, object.BinaryData), nil
	}
}

func (r *Runner) secretReader(ctx context.Context, namespace string) func(string) (map[string]string, error) {
	return func(name string) (map[string]string, error) {
		object, err := readPatiently(ctx, func() (*corev1.Secret, error) {
			return r.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		})
		if err != nil {
			return nil, err
		}
		return merged(nil, object.Data), nil
	}
}

func merged(text map[string]string, binary map[string][]byte) map[string]string {
	all := make(map[string]string, len(text)+len(binary))
	maps.Copy(all, text)
	for key, value := range binary {
		all[key] = string(value)
	}
	return all
}

// readPatiently lets the API server learn that the Pod is on this node: until
// then its Node authorizer knows no reason why this node may see the object.
func readPatiently[T any](ctx context.Context, read func() (T, error)) (T, error) {
	for deadline := time.Now().Add(retryInterval); ; {
		object, err := read()
		if !apierrors.IsForbidden(err) || time.Now().After(deadline) || !sleep(ctx, 20*time.Millisecond) {
			return object, err
		}
	}
}

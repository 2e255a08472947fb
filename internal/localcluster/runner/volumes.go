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
	"fmt"
	"os"
	"path/filepath"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// volumeMounts makes the volumes that a program's container mounts: projected
// ones (the service account's token is one), ConfigMaps, Secrets, emptyDir and
// hostPath, as they are now; they are not kept up to date. A mount path must
// exist on this machine or lie under /run, where every program has its own.
func (w *worker) volumeMounts(ctx context.Context, pod *corev1.Pod, c *corev1.Container) ([]mount, error) {
	var mounts []mount
	for _, vm := range c.VolumeMounts {
		target := resolve(vm.MountPath)
		if _, err := os.Stat(target); err != nil && !strings.HasPrefix(target, "/run/") {
			return nil, fmt.Errorf("%w: volume %s: %s does not exist on this machine; mount it below /run", errConfig, vm.Name, vm.MountPath)
		}
		for i := range pod.Spec.Volumes {
			if pod.Spec.Volumes[i].Name != vm.Name {
				continue
			}
			source, err := w.volume(ctx, pod, &pod.Spec.Volumes[i])
			if err != nil {
				return nil, fmt.Errorf("%w: volume %s: %w", errConfig, vm.Name, err)
			}
			mounts = append(mounts, mount{Source: filepath.Join(source, filepath.Clean("/"+vm.SubPath)), Target: vm.MountPath})
		}
	}
	return mounts, nil
}

// volume makes one volume and returns its directory.
func (w *worker) volume(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) (string, error) {
	dir := filepath.Join(w.sandbox.dir, "volumes", v.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	configMap, secret := w.r.configMapReader(ctx, pod.Namespace), w.r.secretReader(ctx, pod.Namespace)
	switch {
	case v.EmptyDir != nil:
		return dir, nil
	case v.HostPath != nil:
		return v.HostPath.Path, nil
	case v.ConfigMap != nil:
		return dir, writeKeys(dir, configMap, "ConfigMap", v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.Optional)
	case v.Secret != nil:
		return dir, writeKeys(dir, secret, "Secret", v.Secret.SecretName, v.Secret.Items, v.Secret.Optional)
	case v.DownwardAPI != nil:
		return dir, w.writeFields(dir, pod, v.DownwardAPI.Items)
	case v.Projected == nil:
		return "", fmt.Errorf("its type is not supported by the local cluster")
	}
	for _, source := range v.Projected.Sources {
		var err error
		switch {
		case source.ServiceAccountToken != nil:
			err = w.writeToken(ctx, dir, pod, source.ServiceAccountToken)
		case source.ConfigMap != nil:
			err = writeKeys(dir, configMap, "ConfigMap", source.ConfigMap.Name, source.ConfigMap.Items, source.ConfigMap.Optional)
		case source.Secret != nil:
			err = writeKeys(dir, secret, "Secret", source.Secret.Name, source.Secret.Items, source.Secret.Optional)
		case source.DownwardAPI != nil:
			err = w.writeFields(dir, pod, source.DownwardAPI.Items)
		}
		if err != nil {
			return "", err
		}
	}
	return dir, nil
}

func writeKeys(dir string, read func(string) (map[string]string, error), kind, name string, items []corev1.KeyToPath, optional *bool) error {
	data, err := lookUp(read, kind, name, optional)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		for key, value := range data {
			if err := writeInside(dir, key, value); err != nil {
				return err
			}
		}
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok && (optional == nil || !*optional) {
			return fmt.Errorf("%s %s has no key %s", kind, name, item.Key)
		}
		if ok {
			if err := writeInside(dir, item.Path, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *worker) writeFields(dir string, pod *corev1.Pod, items []corev1.DownwardAPIVolumeFile) error {
	source := envSource{pod: pod, podIPs: w.sandbox.ips, nodeIPs: w.r.config.NodeIPs}
	for _, item := range items {
		if item.FieldRef == nil {
			continue
		}
		value, err := fieldValue(source, item.FieldRef.FieldPath)
		if err != nil {
			return err
		}
		if err := writeInside(dir, item.Path, value); err != nil {
			return err
		}
	}
	return nil
}

// writeToken asks for a token that is bound to the Pod.
func (w *worker) writeToken(ctx context.Context, dir string, pod *corev1.Pod, source *corev1.ServiceAccountTokenProjection) error {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	token, err := w.r.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("asking for a token of service account %s: %w", pod.Spec.ServiceAccountName, err)
	}
	return writeInside(dir, source.Path, token.Status.Token)
}

// writeInside writes a file that can not leave dir: paths come from objects.
func writeInside(dir, path, content string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return root.WriteFile(path, []byte(content), 0o644)
}

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

package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/localcluster/runner"
	"switchyard.dev/switchyard/internal/localcluster/state"
)

// OfPod is the network of a pod: its own, or its node's if it uses that one.
// It is found without the API server, too, but then only if it is the pod's
// own, and without the pod's resolv.conf.
func OfPod(ctx context.Context, dir state.Dir, namespace, name string) (Network, error) {
	record, err := Running(dir)
	if err != nil {
		return Network{}, err
	}
	path := dir.NamespacePath(record.PID, namespace+"_"+name)
	pod, err := readPod(ctx, dir, namespace, name)
	if apierrors.IsNotFound(err) {
		return Network{}, fmt.Errorf("no pod %q in namespace %s: `kubectl get pods -n %s` lists them", name, namespace, namespace)
	}
	if err != nil {
		if _, missing := os.Stat(path); missing != nil {
			return Network{}, fmt.Errorf("looking for pod %s/%s: %w", namespace, name, err)
		}
		return networkAt(record, path)
	}
	if pod.Spec.HostNetwork && pod.Spec.NodeName != "" {
		return OfNode(dir, pod.Spec.NodeName)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return Network{}, fmt.Errorf("pod %s/%s has no network (phase %s): `kubectl describe pod -n %s %s` says why",
			namespace, name, pod.Status.Phase, namespace, name)
	}
	network, err := networkAt(record, path)
	network.ResolvConf = resolvConf(dir, record, pod)
	return network, err
}

// AsPod is the network of a node, where names are resolved as in most pods of a
// namespace, so that there need be none.
func AsPod(dir state.Dir, namespace string) (Network, error) {
	network, err := OfNode(dir, "1")
	network.ResolvConf = runner.ClusterFirst(namespace, layout.ClusterDomain, layout.DNSAddrs())
	return network, err
}

func readPod(ctx context.Context, dir state.Dir, namespace, name string) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, busy)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", dir.Kubeconfig())
	if err != nil {
		return nil, err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return clients.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
}

// resolvConf is the pod's, or empty if it has none.
func resolvConf(dir state.Dir, record state.Record, pod *corev1.Pod) string {
	inside := filepath.Join(runner.PodDir(dir.Node(pod.Spec.NodeName), pod), "etc", "resolv.conf")
	text, err := os.ReadFile(filepath.Join(fmt.Sprintf("/proc/%d/root", record.PID), inside))
	if err != nil {
		return ""
	}
	return string(text)
}

// PodNames are the pods of a namespace that have a network of their own.
func PodNames(dir state.Dir, namespace string) []string {
	record, err := Running(dir)
	if err != nil {
		return nil
	}
	paths, _ := filepath.Glob(dir.NamespacePath(record.PID, namespace+"_*"))
	names := make([]string, 0, len(paths))
	for _, path := range paths {
		names = append(names, strings.TrimPrefix(filepath.Base(path), namespace+"_"))
	}
	return names
}

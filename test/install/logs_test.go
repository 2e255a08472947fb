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

package install

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var forbidden = regexp.MustCompile(`(?i)forbidden|cannot (get|list|watch|create|update|patch|delete) resource`)

// nothingForbidden reads the logs of all pods of ours in a namespace, of which there
// have to be so many once those that a rollout ends are gone. None may have begun anew:
// a program that was refused something may have ended for it and recovered.
func (c *cluster) nothingForbidden(t *testing.T, namespace string, pods int) {
	t.Helper()
	const ours = "app.kubernetes.io/name=switchyard"
	var list *corev1.PodList
	await(t, "there are as many pods as there are to be", func() (err error) {
		list, err = c.bed.Clientset.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: ours})
		if err == nil && len(list.Items) != pods {
			err = fmt.Errorf("%s has %d pods, want %d", namespace, len(list.Items), pods)
		}
		return err
	})
	var names []string
	for _, pod := range list.Items {
		names = append(names, pod.Name)
		for _, status := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			if status.RestartCount > 0 {
				t.Errorf("%s %s has begun anew %d times; before that it said:\n%s", pod.Name, status.Name, status.RestartCount, c.previous(t, pod, status.Name))
			}
		}
	}
	logs := c.run(t, "-n", namespace, "logs", "-l", ours, "--all-containers", "--prefix", "--tail=-1", "--max-log-requests=20")
	lines := map[string]int{}
	for line := range strings.Lines(logs) {
		_, rest, _ := strings.Cut(line, "[pod/")
		pod, _, _ := strings.Cut(rest, "/")
		lines[pod]++
		if forbidden.MatchString(line) {
			t.Error(strings.TrimSpace(line))
		}
	}
	t.Logf("%s: lines of logs: %v", namespace, lines)
	for _, pod := range names {
		if lines[pod] == 0 {
			t.Errorf("%s has logged nothing", pod)
		}
	}
}

// previous is what a container said that has ended.
func (c *cluster) previous(t *testing.T, pod corev1.Pod, container string) string {
	t.Helper()
	logs, err := c.try(t.Context(), "", "-n", pod.Namespace, "logs", pod.Name, "-c", container, "--previous", "--tail=50")
	if err != nil {
		return err.Error()
	}
	return logs
}

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

package runner_test

import (
	"context"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (n *node) logs(pod *corev1.Pod, options *corev1.PodLogOptions) string {
	n.t.Helper()
	stream, err := n.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).Stream(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	text, err := io.ReadAll(stream)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(text)
}

func succeeded(pod *corev1.Pod) bool { return pod.Status.Phase == corev1.PodSucceeded }

func TestAProgramHasItsPodsNetworkFilesAndEnvironment(t *testing.T) {
	n := newNode(t)
	for _, service := range []string{"redis-primary"} {
		_, err := n.client.CoreV1().Services("default").Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: service},
			Spec:       corev1.ServiceSpec{ClusterIP: "10.96.0.77", Ports: []corev1.ServicePort{{Port: 6379}}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := n.client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"color": "blue"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.client.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := n.pod("program", func(p *corev1.Pod) {
		programPod("sh", "-c", "env; ip -brief address show dev eth0; hostname; cat /etc/resolv.conf; pwd; head -c 3 /var/run/secrets/kubernetes.io/serviceaccount/token; echo; echo $(SERVICE) >&2")(p)
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Spec.ServiceAccountName = "robot"
		c := &p.Spec.Containers[0]
		c.WorkingDir = "/usr"
		c.Env = []corev1.EnvVar{
			{Name: "MY_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
			{Name: "COLOR", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}, Key: "color"}}},
			{Name: "SERVICE", Value: "at $(REDIS_PRIMARY_SERVICE_HOST)"},
		}
		c.VolumeMounts = []corev1.VolumeMount{{Name: "token", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}}
		p.Spec.Volumes = []corev1.Volume{{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
		}}}}}
	})
	pod = n.until(pod, "done", succeeded)
	out := n.logs(pod, &corev1.PodLogOptions{})
	for _, want := range []string{
		"\nREDIS_PRIMARY_SERVICE_HOST=10.96.0.77\n", "\nKUBERNETES_SERVICE_PORT_HTTPS=443\n", "\nMY_IP=" + pod.Status.PodIP + "\n", "\nCOLOR=blue\n",
		pod.Status.PodIP + "/32", "\n" + pod.Name + "\n", "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n",
		"\n/usr\n", "\neyJ\n", "at 10.96.0.77\n",
	} {
		if !strings.Contains("\n"+out, want) {
			t.Errorf("output lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestAFailingProgramBacksOff(t *testing.T) {
	n := newNode(t)
	pod := n.pod("crash", programPod("sh", "-c", "echo run; exit 3"))
	pod = n.until(pod, "backing off", func(p *corev1.Pod) bool {
		if len(p.Status.ContainerStatuses) == 0 {
			return false
		}
		w := p.Status.ContainerStatuses[0].State.Waiting
		return w != nil && w.Reason == "CrashLoopBackOff"
	})
	c := pod.Status.ContainerStatuses[0]
	if last := c.LastTerminationState.Terminated; c.RestartCount != 1 || last == nil || last.ExitCode != 3 || pod.Status.Phase != corev1.PodRunning || ready(pod) {
		t.Errorf("restarts %d, last %v, phase %s", c.RestartCount, last, pod.Status.Phase)
	}
	if out := n.logs(pod, &corev1.PodLogOptions{Previous: true}); out != "run\n" {
		t.Errorf("previous log is %q", out)
	}
}

func TestAProgramThatIsNotThereIsReported(t *testing.T) {
	n := newNode(t)
	pod := n.until(n.pod("missing", func(p *corev1.Pod) {
		programPod("no-such-program")(p)
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
	}), "failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	if end := pod.Status.ContainerStatuses[0].State.Terminated; end.Reason != "StartError" || end.ExitCode != 128 || !strings.Contains(end.Message, "no-such-program") {
		t.Errorf("%+v", end)
	}
}

func TestInitProgramsRunInOrderBeforeTheOthers(t *testing.T) {
	n := newNode(t)
	dir := t.TempDir()
	line := func(text string) []string {
		return []string{"sh", "-c", "echo " + text + " >> " + filepath.Join(dir, "order")}
	}
	n.until(n.pod("ordered", func(p *corev1.Pod) {
		programPod("cat", filepath.Join(dir, "order"))(p)
		p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		p.Spec.InitContainers = []corev1.Container{{Name: "one", Image: "i", Command: line("one")}, {Name: "two", Image: "i", Command: line("two")}}
	}), "done", succeeded)
	pod, _ := n.get(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "ordered-" + n.config.NodeName}})
	if out := n.logs(pod, &corev1.PodLogOptions{}); out != "one\ntwo\n" {
		t.Errorf("order %q", out)
	}
}

func TestATerminatedProgramIsAskedAndThenKilled(t *testing.T) {
	n := newNode(t)
	polite := n.untilReady(n.pod("polite", programPod("sh", "-c", "trap 'echo bye; exit 0' TERM; sleep 1000 & wait")))
	stubborn := n.untilReady(n.pod("stubborn", programPod("sh", "-c", "trap '' TERM; (setsid sleep 1000 &); sleep 1000")))
	for _, pod := range []*corev1.Pod{polite, stubborn} {
		if err := n.client.CoreV1().Pods("default").Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	n.untilGone(polite)
	n.untilGone(stubborn)
	if left, _ := exec.Command("pgrep", "-fx", "sleep 1000").Output(); strings.TrimSpace(string(left)) != "" && sameNamespace(left) {
		t.Errorf("processes outlived their Pods: %s", left)
	}
}

// sameNamespace is for a machine on which others run tests, too: it tells
// whether a process is a descendant of this test's namespaces.
func sameNamespace(pids []byte) bool {
	for pid := range strings.FieldsSeq(string(pids)) {
		own, _ := filepath.EvalSymlinks("/proc/self/ns/mnt")
		its, _ := filepath.EvalSymlinks("/proc/" + pid + "/ns/mnt")
		if own == its {
			return true
		}
	}
	return false
}

func TestKubectlAttach(t *testing.T) {
	n := newNode(t)
	for name, way := range kubectls(t) {
		t.Run(name, func(t *testing.T) {
			pod := n.untilReady(n.pod("attach-"+strings.ToLower(strings.NewReplacer(" ", "", "'", "").Replace(name)), func(p *corev1.Pod) {
				programPod("sh", "-c", "read x; echo got $x; read y")(p)
				p.Spec.Containers[0].Stdin, p.Spec.Containers[0].StdinOnce = true, true
				p.Spec.RestartPolicy = corev1.RestartPolicyNever
			}))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := kubectl(ctx, way, "attach", "-i", pod.Name)
			cmd.Stdin = strings.NewReader("hello\n")
			out, err := cmd.Output()
			if err != nil || !strings.Contains(string(out), "got hello") {
				t.Errorf("%v: %q", err, out)
			}
			n.until(pod, "done", func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodRunning })
		})
	}
}

func TestASidecarEndsAfterItsPodsWork(t *testing.T) {
	n := newNode(t)
	always := corev1.ContainerRestartPolicyAlways
	pod := n.until(n.pod("job", func(p *corev1.Pod) {
		programPod("sh", "-c", "echo worked")(p)
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Spec.InitContainers = []corev1.Container{{
			Name: "sidecar", Image: "i", RestartPolicy: &always, Command: []string{"sh", "-c", "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done"},
		}}
	}), "done, sidecar included", func(p *corev1.Pod) bool {
		return succeeded(p) && len(p.Status.InitContainerStatuses) == 1 && p.Status.InitContainerStatuses[0].State.Terminated != nil
	})
	if out := n.logs(pod, &corev1.PodLogOptions{Container: "sidecar"}); out != "up\nbye\n" {
		t.Errorf("the sidecar's log is %q", out)
	}
}

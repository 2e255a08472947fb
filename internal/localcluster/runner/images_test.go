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
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"switchyard.dev/switchyard/internal/localcluster/runner"
	"switchyard.dev/switchyard/internal/localcluster/runner/image"
	"switchyard.dev/switchyard/internal/localcluster/runner/image/imagetest"
	"switchyard.dev/switchyard/internal/netns"
)

// probe is the program of testdata/probe, built once.
var probe = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "switchyard-probe-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "probe")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, "./testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the probe: %w: %s", err, out)
	}
	return os.ReadFile(path)
})

// nodeWithImage has an image probe:latest, and a clock that stands still.
func nodeWithImage(t *testing.T) (*node, *clocktesting.FakeClock) {
	t.Helper()
	program, err := probe()
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "probe.tar")
	imagetest.Archive{
		Name: "probe", Config: image.Config{User: "nobody", Env: []string{"PATH=/bin", "FROM=image"}, Entrypoint: []string{"/bin/probe"}, Cmd: []string{"by-itself"}},
		Layers: [][]imagetest.File{
			{{Name: "etc/"}, {Name: "etc/passwd", Content: "root:x:0:0::/root:/\nnobody:x:65534:65533::/home/nobody:/\n"}, {Name: "etc/group", Content: "extra:x:77:nobody\n"}},
			{{Name: "bin/"}, {Name: "bin/probe", Content: string(program), Mode: 0o755}},
		},
	}.Write(t, archive)
	images, err := image.Load([]string{archive}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	clock := clocktesting.NewFakeClock(time.Now())
	return newNode(t, func(c *runner.Config) { c.Images, c.Clock = images, clock }), clock
}

func imagePod(command ...string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		c := &pod.Spec.Containers[0]
		c.Image, c.Command = "probe:latest", command
		c.Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}
		c.ReadinessProbe = httpProbe("/args")
	}
}

// prober asks the program of a Pod.
type prober struct {
	t    *testing.T
	ns   *netns.Namespace
	host string
}

func (n *node) prober(pod *corev1.Pod) prober {
	n.t.Helper()
	pod = n.untilReady(pod)
	return prober{n.t, n.config.Namespace, net.JoinHostPort(pod.Status.PodIP, "8080")}
}

func (p prober) ask(what, path string) (string, bool) {
	p.t.Helper()
	body, code, err := get(p.ns, fmt.Sprintf("http://%s/%s?path=%s", p.host, what, url.QueryEscape(path)))
	if err != nil {
		p.t.Fatal(err)
	}
	return body, code == 200
}

func (p prober) read(path string) string {
	p.t.Helper()
	text, ok := p.ask("read", path)
	if !ok {
		p.t.Errorf("reading %s: %s", path, text)
	}
	return text
}

func (p prober) refused(what, path, want string) {
	p.t.Helper()
	if text, ok := p.ask(what, path); ok || !strings.Contains(text, want) {
		p.t.Errorf("%s %s: %t, %q; want %q", what, path, ok, text, want)
	}
}

// statusOf are fields of a /proc/PID/status.
func statusOf(text string, fields ...string) []string {
	var found []string
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		if slices.Contains(fields, name) {
			found = append(found, name+" "+strings.Join(strings.Fields(value), " "))
		}
	}
	return found
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("no %q in %q", line, got)
		}
	}
}

var identity = []string{"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs"}

// restricted is a Pod as the manager's manifest has it.
func restricted(pod *corev1.Pod) {
	imagePod("probe", "serve", "$(NAME)")(pod)
	pod.Spec.ServiceAccountName = "prober"
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: new(true), RunAsUser: ptr.To[int64](65532), RunAsGroup: ptr.To[int64](65531),
		FSGroup: ptr.To[int64](2000), SupplementalGroups: []int64{3000},
		Sysctls: []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "53"}},
	}
	c := &pod.Spec.Containers[0]
	c.SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	c.Env = []corev1.EnvVar{{Name: "NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}}
	c.EnvFrom = []corev1.EnvFromSource{
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "apiserver"}}},
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Optional: new(true)}},
	}
	c.VolumeMounts = []corev1.VolumeMount{
		{Name: "settings", MountPath: "/tmp/within"}, {Name: "tmp", MountPath: "/tmp"}, {Name: "settings", MountPath: "/etc/settings"}, {Name: "token", MountPath: "/var/run/secrets/here"},
		{Name: "settings", MountPath: "/etc/alone", SubPath: "color"},
	}
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse("64Ki"))}}},
		{Name: "settings", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "probed"}}}},
		{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: ptr.To[int64](600)}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}},
		}}}},
	}
}

func TestAnImagesProgramHasWhatItsManifestGivesIt(t *testing.T) {
	n, clock := nodeWithImage(t)
	configMaps := n.client.CoreV1().ConfigMaps("default")
	for name, data := range map[string]map[string]string{"apiserver": {"KUBERNETES_SERVICE_HOST": "192.0.2.7"}, "probed": {"color": "blue", "old": "yes"}} {
		if _, err := configMaps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.client.CoreV1().ServiceAccounts("default").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "prober"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := n.pod("restricted", restricted)
	p := n.prober(pod)

	wantLines(t, statusOf(p.read("/proc/self/status"), identity...),
		"Uid 65532 65532 65532 65532", "Gid 65531 65531 65531 65531", "Groups 2000 3000", "NoNewPrivs 1",
		"CapInh 0000000000000000", "CapPrm 0000000000000000", "CapEff 0000000000000000", "CapBnd 0000000000000000", "CapAmb 0000000000000000")
	if self := statusOf(p.read("/proc/1/status"), "Name"); !slices.Equal(self, []string{"Name probe"}) {
		t.Errorf("process 1 is %q, want the program", self)
	}
	if machine, err := os.Stat("/dev/null"); err != nil || machine.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("this machine's /dev/null was given away: %+v, %v", machine, err)
	}
	if devices := p.read("/proc/self/mounts"); strings.Contains(devices, " /dev/null ") {
		t.Error("/dev/null is this machine's")
	}
	if _, ok := p.ask("write", "/dev/null"); !ok {
		t.Error("/dev/null can not be written")
	}
	if _, ok := p.ask("write", "/dev/stdout"); !ok {
		t.Error("/dev/stdout can not be opened")
	}
	p.refused("write", "/here", "read-only file system")
	p.refused("write", "/etc/settings/here", "read-only file system")
	if got := p.read("/tmp/within/color"); got != "blue" {
		t.Errorf("the volume within a volume has %q", got)
	}
	if got := p.read("/etc/alone"); got != "blue" {
		t.Errorf("the file of a volume has %q", got)
	}
	p.refused("write", "/proc/sys/net/ipv4/ip_forward", "") // by its owner, or as it is read-only
	if _, ok := p.ask("write", "/tmp/here"); !ok {
		t.Error("/tmp can not be written")
	}
	if got := strings.TrimSpace(p.read("/proc/sys/net/ipv4/ip_unprivileged_port_start")); got != "53" {
		t.Errorf("the sysctl is %s", got)
	}
	if mounts := p.read("/proc/self/mounts"); !strings.Contains(mounts, "tmpfs /tmp tmpfs rw") || !strings.Contains(mounts, "size=64k") {
		t.Errorf("/tmp is not a tmpfs of 64 KiB in:\n%s", mounts)
	}
	environ, _ := p.ask("environ", "")
	wantLines(t, strings.Split(environ, "\n"), "PATH=/bin", "FROM=image", "HOME=/", "NAME="+pod.Name, "KUBERNETES_SERVICE_HOST=192.0.2.7", "KUBERNETES_SERVICE_PORT=443")
	if args, _ := p.ask("args", ""); args != "probe serve "+pod.Name {
		t.Errorf("its arguments are %q", args)
	}

	volumesFollow(t, n, clock, pod, p)
	if got, _ := n.get(pod); got.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Error("the program was started again")
	}
	execInImage(t, n, pod)
}

// volumesFollow changes what the Pod's volumes are made of.
func volumesFollow(t *testing.T, n *node, clock *clocktesting.FakeClock, pod *corev1.Pod, p prober) {
	t.Helper()
	if _, err := n.client.CoreV1().ConfigMaps("default").Update(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "probed"}, Data: map[string]string{"color": "red"}}, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	n.eventually("the ConfigMap's new content", func() (bool, string) {
		color, _ := p.ask("read", "/etc/settings/color")
		_, old := p.ask("read", "/etc/settings/old")
		return color == "red" && !old, color
	})
	labelled := []byte(`{"metadata":{"labels":{"late":"yes"}}}`)
	if _, err := n.client.CoreV1().Pods("default").Patch(t.Context(), pod.Name, "application/merge-patch+json", labelled, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	n.eventually("the Pod's new label", func() (bool, string) {
		labels, _ := p.ask("read", "/var/run/secrets/here/labels")
		return strings.Contains(labels, `late="yes"`), labels
	})
	const path = "/var/run/secrets/here/token"
	if mode, _ := p.ask("stat", path); mode != "-rw-r-----" {
		t.Errorf("the token's mode is %s", mode)
	}
	first := p.read(path)
	clock.Step(479 * time.Second)
	if again := p.read(path); again != first {
		t.Error("the token was renewed before 80 % of its life were over")
	}
	n.eventually("another token", func() (bool, string) {
		clock.Step(2 * time.Second)
		token, ok := p.ask("read", path)
		return ok && token != first && strings.Count(token, ".") == 2, token
	})
}

// execInImage runs commands of the image beside its program.
func execInImage(t *testing.T, n *node, pod *corev1.Pod) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	way := kubectls(t)["websockets"]
	out, err := kubectl(ctx, way, "exec", pod.Name, "--", "probe", "cat", "/proc/self/status", "/tmp/here", "/etc/hosts").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "written") || !strings.Contains(string(out), pod.Name) {
		t.Errorf("exec: %v: %s", err, out)
	}
	wantLines(t, statusOf(string(out), identity...), "Uid 65532 65532 65532 65532", "Groups 2000 3000", "NoNewPrivs 1", "CapBnd 0000000000000000")
	out, err = kubectl(ctx, way, "exec", pod.Name, "--", "sh").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "programs of its image") {
		t.Errorf("a shell that is not in the image: %v: %s", err, out)
	}
	if out := n.logs(pod, &corev1.PodLogOptions{}); out != "probe is up\nwritten\n" {
		t.Errorf("its log is %q", out)
	}
}

func TestAnAgentOfTheNodeHasItsNetworkAndOneCapability(t *testing.T) {
	n, _ := nodeWithImage(t)
	pod := n.pod("agent", func(pod *corev1.Pod) {
		imagePod("probe")(pod)
		pod.Spec.HostNetwork = true
		pod.Spec.Containers[0].Ports[0].HostPort = 8080
		pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
			RunAsUser: ptr.To[int64](0), AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: []corev1.Capability{"NET_ADMIN"}},
		}
		pod.Spec.Containers[0].LivenessProbe = &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/args", Port: intstr.FromString("web")}},
		}
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"probe", "cat", "/etc/passwd"}}}}
		pod.Spec.InitContainers = []corev1.Container{{
			Name: "set-up", Image: "docker.io/library/probe", Command: []string{"/bin/probe", "cat", "/proc/self/status", "/proc/self/mounts"},
			SecurityContext: &corev1.SecurityContext{Privileged: new(true), RunAsUser: ptr.To[int64](0)},
		}}
	})
	p := n.prober(pod)
	status := p.read("/proc/self/status")
	const netAdmin = "0000000000001000"
	wantLines(t, statusOf(status, identity...), "Uid 0 0 0 0", "NoNewPrivs 1",
		"CapInh 0000000000000000", "CapPrm "+netAdmin, "CapEff "+netAdmin, "CapBnd "+netAdmin, "CapAmb 0000000000000000")
	p.refused("write", "/proc/sys/net/ipv4/ip_forward", "read-only file system")
	p.refused("write", "/sys/here", "")
	if links := p.read("/proc/self/net/dev"); !strings.Contains(links, "uplink") {
		t.Errorf("it is not on the node's network:\n%s", links)
	}
	// The first thread may be one that dropped its capabilities for another test.
	own, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	out := n.logs(pod, &corev1.PodLogOptions{Container: "set-up"})
	all := strings.TrimPrefix(statusOf(string(own), "CapPrm")[0], "CapPrm ")
	wantLines(t, statusOf(out, identity...), "CapPrm "+all, "CapEff "+all, "NoNewPrivs 0")
	if !strings.Contains(out, "proc /proc proc rw") || strings.Contains(out, "proc /proc/sys ") || strings.Contains(out, "sysfs /sys sysfs ro") {
		t.Errorf("a privileged container can not set up the kernel:\n%s", out)
	}
	if err := n.client.CoreV1().Pods("default").Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	n.untilGone(pod)
}

func TestWhatAManifestLeavesOutIsTheImages(t *testing.T) {
	n, _ := nodeWithImage(t)
	pod := n.pod("plain", imagePod())
	p := n.prober(pod)
	if args, _ := p.ask("args", ""); args != "/bin/probe by-itself" {
		t.Errorf("its arguments are %q", args)
	}
	environ, _ := p.ask("environ", "")
	wantLines(t, strings.Split(environ, "\n"), "HOME=/home/nobody")
	const usual = "00000000a80425fb"
	wantLines(t, statusOf(p.read("/proc/self/status"), identity...), "Uid 65534 65534 65534 65534", "Gid 65533 65533 65533 65533", "Groups 77",
		"CapEff 0000000000000000", "CapBnd "+usual, "NoNewPrivs 0")
	if got, _ := n.get(pod); !strings.HasPrefix(got.Status.ContainerStatuses[0].ImageID, "docker.io/library/probe@sha256:") {
		t.Errorf("its imageID is %q", got.Status.ContainerStatuses[0].ImageID)
	}
}

func TestAContainerThatMustNotBeRootIsNotStartedAsRoot(t *testing.T) {
	n, _ := nodeWithImage(t)
	n.until(n.pod("root", func(pod *corev1.Pod) {
		imagePod()(pod)
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: ptr.To[int64](0)}
	}), "refused", func(pod *corev1.Pod) bool {
		if len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].State.Waiting == nil {
			return false
		}
		waiting := pod.Status.ContainerStatuses[0].State.Waiting
		return waiting.Reason == "CreateContainerConfigError" && strings.Contains(waiting.Message, "breaks non-root policy")
	})
}

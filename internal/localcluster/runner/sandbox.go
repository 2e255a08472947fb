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
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/netns"
)

// sandbox is where a Pod's containers run: a network namespace, addresses and
// files. A host network Pod's is the node's namespace.
type sandbox struct {
	ns    *netns.Namespace
	ips   []netip.Addr
	index uint32 // of its own addresses; 0 on the host network
	link  string
	dir   string
	// volumes are set once there is a sandbox.
	volumes *volumeKeeper
}

func podKey(pod *corev1.Pod) string { return pod.Namespace + "_" + pod.Name }

// PodDir is where, under a node's StateDir, a Pod's files are: etc/resolv.conf
// and etc/hosts.
func PodDir(stateDir string, pod *corev1.Pod) string {
	return filepath.Join(stateDir, "pods", podKey(pod)+"_"+string(pod.UID))
}

func logPath(stateDir string, pod *corev1.Pod, container string, attempt int32) string {
	return filepath.Join(stateDir, "logs", podKey(pod)+"_"+string(pod.UID), container, strconv.Itoa(int(attempt))+".log")
}

// newSandbox makes all of it or nothing.
func (r *Runner) newSandbox(pod *corev1.Pod) (_ *sandbox, err error) {
	s := &sandbox{dir: PodDir(r.config.StateDir, pod)}
	if pod.Spec.HostNetwork {
		s.ns, s.ips = r.config.Namespace, r.config.NodeIPs
		return s, s.writeFiles(pod, r.config)
	}
	defer func() {
		if err != nil {
			_ = r.removeSandbox(s)
		}
	}()
	if err := os.MkdirAll(s.dir, 0o755); err != nil { // first: it is how a later runner finds the rest
		return nil, err
	}
	index, err := r.addressOf(pod)
	if err != nil {
		return nil, err
	}
	s.index, s.ips, s.link = index, r.addresses.at(index), linkName(pod.UID)
	if s.ns, err = netns.NewNamed(r.config.NamespaceDir, podKey(pod)); err != nil {
		return nil, err
	}
	if err := connect(r.config.Namespace, s.ns, s.link, s.ips, r.addresses.gateways()); err != nil {
		return nil, err
	}
	if err := setSysctls(s.ns, pod); err != nil {
		return nil, err
	}
	return s, s.writeFiles(pod, r.config)
}

// addressOf is the index that the Pod had, or a new one.
func (r *Runner) addressOf(pod *corev1.Pod) (uint32, error) {
	r.mu.Lock()
	index, ok := r.kept[pod.UID]
	delete(r.kept, pod.UID)
	r.mu.Unlock()
	if !ok {
		index, ok = r.addresses.claim(pod.Status.PodIPs)
	}
	if ok {
		return index, nil
	}
	return r.addresses.take()
}

// keepAddresses claims the addresses that Pods already reported, before a new
// Pod can be given one of them.
func (r *Runner) keepAddresses(pods []corev1.Pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = map[types.UID]uint32{}
	for i := range pods {
		pod := &pods[i]
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if pod.Spec.HostNetwork || pod.DeletionTimestamp != nil || ended {
			continue
		}
		if index, ok := r.addresses.claim(pod.Status.PodIPs); ok {
			r.kept[pod.UID] = index
		}
	}
}

// removeSandbox is idempotent; what it could not remove is in its error.
func (r *Runner) removeSandbox(s *sandbox) error {
	var errs []error
	if s.volumes != nil {
		s.volumes.end()
	}
	if s.index != 0 {
		if s.ns != nil {
			killInside(s.ns)
			errs = append(errs, disconnect(r.config.Namespace, s.link), s.ns.Close())
			s.ns = nil
		}
		r.addresses.release(s.index)
		s.index = 0
	}
	unmountVolumes(s.dir)
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

func (s *sandbox) writeFiles(pod *corev1.Pod, config Config) error {
	machine, _ := os.ReadFile("/etc/resolv.conf")
	etc := filepath.Join(s.dir, "etc")
	if err := os.MkdirAll(etc, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"resolv.conf": resolvConf(pod, config.ClusterDomain, config.DNSAddrs, string(machine)),
		"hosts":       hostsFile(pod, config.ClusterDomain, s.ips),
	} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing the Pod's %s: %w", name, err)
		}
	}
	return nil
}

// cleanLeftovers removes what Pods of an earlier runner left: everything of
// this node, as Pods that still exist are built again.
func (r *Runner) cleanLeftovers() error {
	dirs, err := os.ReadDir(filepath.Join(r.config.StateDir, "pods"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, dir := range dirs {
		key := dir.Name()
		if i := strings.LastIndexByte(key, '_'); i > 0 {
			key = key[:i]
		}
		path := filepath.Join(r.config.NamespaceDir, key)
		if ns, err := netns.Open(path); err == nil {
			killInside(ns)
			_ = ns.Close()
		}
		_ = unix.Unmount(path, unix.MNT_DETACH)
		_ = os.Remove(path)
		unmountVolumes(filepath.Join(r.config.StateDir, "pods", dir.Name()))
		_ = os.RemoveAll(filepath.Join(r.config.StateDir, "pods", dir.Name()))
	}
	return nil
}

// killInside kills every process in a network namespace: also those that left
// their program's session.
func killInside(ns *netns.Namespace) {
	var own unix.Stat_t
	if unix.Fstat(ns.Fd(), &own) != nil {
		return
	}
	processes, _ := os.ReadDir("/proc")
	for _, process := range processes {
		pid, err := strconv.Atoi(process.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		var its unix.Stat_t
		if unix.Stat("/proc/"+process.Name()+"/ns/net", &its) == nil && its.Ino == own.Ino && its.Dev == own.Dev {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

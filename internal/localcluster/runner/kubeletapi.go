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
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/localcluster/kubelet"
	"switchyard.dev/switchyard/internal/netns"
)

// serveKubelet opens the kubelet API on the node's addresses.
func (r *Runner) serveKubelet(ctx context.Context, group *errgroup.Group) error {
	if r.config.ClientCAs == nil {
		return nil
	}
	server := kubelet.New(kubelet.Config{
		Runtime: r, ServingCert: r.config.ServingCert, ClientCAs: r.config.ClientCAs, Log: r.log,
	})
	var listeners []net.Listener
	err := r.config.Namespace.Do(func() error {
		for _, ip := range r.config.NodeIPs {
			listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, kubeletPort)))
			if err != nil {
				return fmt.Errorf("opening the kubelet API: %w", err)
			}
			listeners = append(listeners, listener)
		}
		return nil
	})
	if err != nil {
		for _, listener := range listeners {
			_ = listener.Close()
		}
		return err
	}
	for _, listener := range listeners {
		group.Go(func() error { return server.Serve(ctx, listener) })
	}
	return nil
}

// Pods are the Pods of the node, as last seen.
func (r *Runner) Pods() []*corev1.Pod {
	r.mu.Lock()
	defer r.mu.Unlock()
	var pods []*corev1.Pod
	for _, w := range r.workers {
		pod, _ := w.latest()
		pods = append(pods, pod)
	}
	return pods
}

func (r *Runner) worker(namespace, name string) (*worker, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if w := r.byKey[namespace+"_"+name]; w != nil {
		return w, nil
	}
	return nil, kubelet.NotFoundError(fmt.Sprintf("pod %s/%s is not on node %s", namespace, name, r.config.NodeName))
}

func (w *worker) container(name string) (*container, error) {
	for _, c := range w.containers {
		if c.spec.Name == name {
			return c, nil
		}
	}
	return nil, kubelet.NotFoundError(fmt.Sprintf("container %s is not in the pod", name))
}

// place is where something is run for a Pod.
type place struct {
	ns  *netns.Namespace
	ips []netip.Addr
}

func (w *worker) where() (place, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sandbox == nil {
		return place{}, errors.New("the pod is not running")
	}
	return place{ns: w.sandbox.ns, ips: w.sandbox.ips}, nil
}

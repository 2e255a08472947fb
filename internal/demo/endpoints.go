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

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/internal/probe"
)

var endpointChecks = []Check{
	{"headless: slices, and no virtual IP", headless},
	{"ExternalName: no virtual IP, no slices", externalName},
	{"hand-made Endpoints are mirrored and reached", selectorless},
	{"the environment of a pod started later", environment},
}

func headless(ctx context.Context, b *Bed) (string, error) {
	pods, err := b.readyPods(ctx, "back", 2)
	if err != nil {
		return "", err
	}
	s, err := b.service(ctx, "headless")
	if err != nil {
		return "", err
	}
	if s.Spec.ClusterIP != corev1.ClusterIPNone {
		return "", fmt.Errorf("ClusterIP is %q", s.Spec.ClusterIP)
	}
	var names []string
	err = b.eventually(ctx, func() error {
		names = nil
		found, err := b.slices(ctx, "headless")
		if err != nil {
			return err
		}
		for _, slice := range found {
			if _, ok := slice.Labels[corev1.IsHeadlessService]; !ok {
				return fmt.Errorf("slice %s has no label %s", slice.Name, corev1.IsHeadlessService)
			}
			names = append(names, targets(slice)...)
		}
		slices.Sort(names)
		if strings.Join(names, " ") != strings.Join(pods, " ") {
			return fmt.Errorf("slices name %v, want %v", names, pods)
		}
		return nil
	})
	return "slices name " + strings.Join(names, " and "), err
}

func targets(slice discoveryv1.EndpointSlice) []string {
	var names []string
	for _, e := range slice.Endpoints {
		if e.TargetRef != nil {
			names = append(names, e.TargetRef.Name)
		}
	}
	return names
}

func externalName(ctx context.Context, b *Bed) (string, error) {
	s, err := b.service(ctx, "elsewhere")
	if err != nil {
		return "", err
	}
	found, err := b.slices(ctx, "elsewhere")
	if err != nil {
		return "", err
	}
	if s.Spec.ClusterIP != "" || len(found) > 0 {
		return "", fmt.Errorf("ClusterIP %q and %d slices", s.Spec.ClusterIP, len(found))
	}
	return "a name only: " + s.Spec.ExternalName, nil
}

func selectorless(ctx context.Context, b *Bed) (string, error) {
	s, err := b.service(ctx, "legacy")
	if err != nil {
		return "", err
	}
	front, err := b.readyPods(ctx, "front", 1)
	if err != nil {
		return "", err
	}
	var seen string
	err = b.eventually(ctx, func() error {
		found, err := b.slices(ctx, "legacy")
		if err != nil {
			return err
		}
		if len(found) != 1 || len(found[0].Endpoints) != 1 {
			return fmt.Errorf("%d slices, want one with one endpoint", len(found))
		}
		_, err = b.ask(ctx, Place{Pod: front[0]}, probe.Request{Protocol: "http", Address: at(s.Spec.ClusterIP, 80), Count: 5})
		seen = fmt.Sprintf("slice %s names %s", found[0].Name, found[0].Endpoints[0].Addresses[0])
		return err
	})
	return seen, err
}

func environment(ctx context.Context, b *Bed) (string, error) {
	if err := b.apply(ctx, "later/reader.yaml"); err != nil {
		return "", err
	}
	err := b.eventually(ctx, func() error {
		pod, err := b.pod(ctx, "reader")
		if err != nil {
			return err
		}
		if pod.Status.Phase != corev1.PodSucceeded {
			return fmt.Errorf("pod reader is %s", pod.Status.Phase)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	log, err := b.Clientset.CoreV1().Pods(namespace).GetLogs("reader", &corev1.PodLogOptions{}).Stream(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = log.Close() }()
	text, err := io.ReadAll(log)
	if err != nil {
		return "", err
	}
	return b.compareEnvironment(ctx, string(text))
}

func (b *Bed) compareEnvironment(ctx context.Context, text string) (string, error) {
	s, err := b.service(ctx, "back")
	if err != nil {
		return "", err
	}
	lines := strings.Split(text, "\n")
	want := []string{
		"BACK_SERVICE_HOST=" + s.Spec.ClusterIP,
		"BACK_SERVICE_PORT=19",
		"BACK_PORT=tcp://" + at(s.Spec.ClusterIP, 19),
		"KUBERNETES_SERVICE_PORT_HTTPS=443",
	}
	for _, line := range want {
		if !slices.Contains(lines, line) {
			return "", errors.New("no line " + line)
		}
	}
	return want[0] + " " + want[1], nil
}

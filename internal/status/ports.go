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

package status

import (
	"context"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/loopback"
)

// Ports are the addresses where an agent serves what it says of itself: those of its
// flags, else of its configuration, else the defaults.
type Ports struct {
	Metrics, Health string
	// Off tells of those whose address is empty, so that it serves them nowhere.
	MetricsOff, HealthOff bool
	// Known tells that they are not only the defaults, for want of an answer.
	Known bool
}

// The ports of kube-proxy, which are ours.
const (
	defaultMetrics = 10249
	defaultHealth  = 10256
)

// metrics is the port of the loopback to ask; 0 if it is served elsewhere.
func (p Ports) metrics() int { return loopbackPort(p.Metrics, p.MetricsOff, defaultMetrics) }

func (p Ports) health() int { return loopbackPort(p.Health, p.HealthOff, defaultHealth) }

// Server is a port of an agent's, with the page that proves that it is, and others.
type Server struct {
	Port  int
	Proof string
	Pages []string
}

// Servers are those of an agent, as far as they are on its loopback.
func (p Ports) Servers() []Server {
	all := []Server{
		{p.metrics(), ProofOfMetrics, []string{"/configz", "/flagz", "/statusz"}},
		{p.health(), ProofOfHealth, []string{"/healthz", "/livez"}},
	}
	return slices.DeleteFunc(all, func(s Server) bool { return s.Port == 0 })
}

func loopbackPort(address string, off bool, otherwise int) int {
	if off {
		return 0
	}
	if address == "" {
		return otherwise
	}
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		host, portText = strings.Trim(address, "[]"), strconv.Itoa(otherwise)
	}
	port, err := strconv.Atoi(portText)
	all, _ := netip.ParseAddr(host)
	if err != nil || host != "" && !all.IsUnspecified() && !loopback.Host(host) {
		return 0
	}
	return port
}

// configuration is what of an agent's file says where it serves.
type configuration struct {
	Metrics string `json:"metricsBindAddress"`
	Health  string `json:"healthzBindAddress"`
	read    bool
}

// portsOf learns them of a pod's arguments and its ConfigMap.
func (r *reading) portsOf(ctx context.Context, pod *corev1.Pod) Ports {
	if len(pod.Spec.Containers) == 0 {
		return Ports{}
	}
	container := pod.Spec.Containers[0]
	flags := flagsOf(append(append([]string{}, container.Command...), container.Args...))
	p := Ports{Known: true}
	if file, has := flags["config"]; has {
		c := r.configurationOf(ctx, pod, container, file)
		p.Metrics, p.Health, p.Known = c.Metrics, c.Health, c.read
	}
	for flag, to := range map[string]struct {
		address *string
		off     *bool
	}{"metrics-bind-address": {&p.Metrics, &p.MetricsOff}, "healthz-bind-address": {&p.Health, &p.HealthOff}} {
		if address, has := flags[flag]; has {
			*to.address, *to.off = address, address == ""
		}
	}
	p.MetricsOff = p.MetricsOff || flags["metrics-port"] == "0"
	p.HealthOff = p.HealthOff || flags["healthz-port"] == "0"
	return p
}

// flagsOf are the flags of a command line with their values.
func flagsOf(line []string) map[string]string {
	all := map[string]string{}
	for i, arg := range line {
		name, value, has := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !strings.HasPrefix(arg, "-") {
			continue
		}
		if !has && i+1 < len(line) {
			value = line[i+1]
		}
		all[name] = value
	}
	return all
}

// configurationOf reads the ConfigMap that the pod has its file of. The agents of one
// DaemonSet have the same.
func (r *reading) configurationOf(ctx context.Context, pod *corev1.Pod, container corev1.Container, file string) (c configuration) {
	name := ""
	for _, mount := range container.VolumeMounts {
		for _, volume := range pod.Spec.Volumes {
			if volume.Name == mount.Name && volume.ConfigMap != nil && strings.HasPrefix(file, mount.MountPath+"/") {
				name = volume.ConfigMap.Name
			}
		}
	}
	if name == "" {
		return c
	}
	if c, is := r.configurations[name]; is {
		return c
	}
	var object corev1.ConfigMap
	if r.Reader.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: name}, &object) == nil {
		text, has := object.Data[path.Base(file)] // the volume may call it otherwise
		c.read = has && yaml.Unmarshal([]byte(text), &c) == nil
	}
	if r.configurations == nil {
		r.configurations = map[string]configuration{}
	}
	r.configurations[name] = c
	return c
}

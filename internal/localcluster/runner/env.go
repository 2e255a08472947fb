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
	"runtime"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"switchyard.dev/switchyard/internal/serviceenv"
)

// defaultPath is what programs get when their container sets no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// envSource is what a container's environment is made from.
type envSource struct {
	pod      *corev1.Pod
	podIPs   []netip.Addr
	nodeIPs  []netip.Addr
	services []serviceenv.Variable
	// base is what an image says.
	base []string
	// configMap and secret read one object of the Pod's namespace.
	configMap func(name string) (map[string]string, error)
	secret    func(name string) (map[string]string, error)
}

// containerEnv is a container's environment as NAME=value, later names
// replacing earlier ones: services, then envFrom, then env, whose values may
// use $(NAME) of what comes before.
func containerEnv(source envSource, container *corev1.Container) ([]string, error) {
	b := envBuilder{values: map[string]string{}}
	b.set("PATH", defaultPath)
	b.set("HOME", "/root")
	b.set("HOSTNAME", hostname(source.pod))
	for _, variable := range source.base {
		name, value, _ := strings.Cut(variable, "=")
		b.set(name, value)
	}
	services := map[string]string{}
	for _, v := range source.services {
		services[v.Name] = v.Value
	}
	own := map[string]string{} // what $(NAME) may refer to besides services
	for _, from := range container.EnvFrom {
		if err := addEnvFrom(source, from, own, &b); err != nil {
			return nil, err
		}
	}
	for _, v := range container.Env {
		value, ok, err := envValue(source, container, v, func(name string) (string, bool) {
			if value, ok := own[name]; ok {
				return value, true
			}
			value, ok := services[name]
			return value, ok
		})
		if err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", v.Name, err)
		}
		if ok {
			own[v.Name] = value
			b.set(v.Name, value)
		}
	}
	for _, v := range source.services {
		if _, ok := own[v.Name]; !ok {
			b.set(v.Name, v.Value)
		}
	}
	return b.list(), nil
}

type envBuilder struct {
	names  []string
	values map[string]string
}

func (b *envBuilder) set(name, value string) {
	if _, ok := b.values[name]; !ok {
		b.names = append(b.names, name)
	}
	b.values[name] = value
}

func (b *envBuilder) list() []string {
	env := make([]string, len(b.names))
	for i, name := range b.names {
		env[i] = name + "=" + b.values[name]
	}
	return env
}

func addEnvFrom(source envSource, from corev1.EnvFromSource, own map[string]string, b *envBuilder) error {
	var data map[string]string
	var err error
	switch {
	case from.ConfigMapRef != nil:
		data, err = lookUp(source.configMap, "ConfigMap", from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
	case from.SecretRef != nil:
		data, err = lookUp(source.secret, "Secret", from.SecretRef.Name, from.SecretRef.Optional)
	}
	if err != nil {
		return err
	}
	keys := make([]string, 0, len(data))
	for key := range data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		own[from.Prefix+key] = data[key]
		b.set(from.Prefix+key, data[key])
	}
	return nil
}

// lookUp reads an object; a missing optional one is empty.
func lookUp(read func(string) (map[string]string, error), kind, name string, optional *bool) (map[string]string, error) {
	data, err := read(name)
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", kind, name, err)
	}
	return data, nil
}

// envValue is one variable's value; ok is false for a missing optional key.
func envValue(source envSource, container *corev1.Container, v corev1.EnvVar, mapping func(string) (string, bool)) (value string, ok bool, err error) {
	from := v.ValueFrom
	switch {
	case from == nil:
		return expand(v.Value, mapping), true, nil
	case from.FieldRef != nil:
		value, err = fieldValue(source, from.FieldRef.FieldPath)
		return value, err == nil, err
	case from.ResourceFieldRef != nil:
		value, err = resourceValue(source.pod, container, from.ResourceFieldRef)
		return value, err == nil, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		return keyValue(source.configMap, "ConfigMap", ref.Name, ref.Key, ref.Optional)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		return keyValue(source.secret, "Secret", ref.Name, ref.Key, ref.Optional)
	}
	return "", false, errors.New("its source is not supported here")
}

func keyValue(read func(string) (map[string]string, error), kind, name, key string, optional *bool) (string, bool, error) {
	data, err := lookUp(read, kind, name, optional)
	if err != nil {
		return "", false, err
	}
	value, ok := data[key]
	if !ok && (optional == nil || !*optional) {
		return "", false, fmt.Errorf("%s %s has no key %s", kind, name, key)
	}
	return value, ok, nil
}

// fieldValue is the downward API.
func fieldValue(source envSource, path string) (string, error) {
	pod := source.pod
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "metadata.labels":
		return mapText(pod.Labels), nil
	case "metadata.annotations":
		return mapText(pod.Annotations), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP":
		return joinAddrs(source.nodeIPs[:min(1, len(source.nodeIPs))]), nil
	case "status.hostIPs":
		return joinAddrs(source.nodeIPs), nil
	case "status.podIP":
		return joinAddrs(source.podIPs[:min(1, len(source.podIPs))]), nil
	case "status.podIPs":
		return joinAddrs(source.podIPs), nil
	}
	for prefix, values := range map[string]map[string]string{"metadata.labels['": pod.Labels, "metadata.annotations['": pod.Annotations} {
		if key, ok := strings.CutPrefix(path, prefix); ok && strings.HasSuffix(key, "']") {
			return values[strings.TrimSuffix(key, "']")], nil
		}
	}
	return "", fmt.Errorf("field %s is not known to the downward API", path)
}

func mapText(values map[string]string) string {
	lines := make([]string, 0, len(values))
	for key, value := range values {
		lines = append(lines, fmt.Sprintf("%s=%q", key, value))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func joinAddrs(ips []netip.Addr) string {
	texts := make([]string, len(ips))
	for i, ip := range ips {
		texts[i] = ip.String()
	}
	return strings.Join(texts, ",")
}

// resourceValue is a request or a limit in units of the divisor, rounded up.
// Where there is no limit it is what the machine has.
func resourceValue(pod *corev1.Pod, container *corev1.Container, ref *corev1.ResourceFieldSelector) (string, error) {
	if ref.ContainerName != "" && ref.ContainerName != container.Name {
		for i := range pod.Spec.Containers {
			if pod.Spec.Containers[i].Name == ref.ContainerName {
				container = &pod.Spec.Containers[i]
			}
		}
	}
	kind, name, ok := strings.Cut(ref.Resource, ".")
	if !ok || (kind != "limits" && kind != "requests") {
		return "", fmt.Errorf("resource %s is not known to the downward API", ref.Resource)
	}
	list := container.Resources.Limits
	if kind == "requests" {
		list = container.Resources.Requests
	}
	quantity, ok := list[corev1.ResourceName(name)]
	if !ok && kind == "limits" && name == "cpu" {
		quantity = *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI)
	}
	divisor := ref.Divisor.AsApproximateFloat64()
	if divisor == 0 {
		divisor = 1
	}
	value := quantity.AsApproximateFloat64() / divisor
	rounded := int64(value)
	if float64(rounded) < value {
		rounded++
	}
	return strconv.FormatInt(rounded, 10), nil
}

// expand replaces $(NAME) where NAME is known; $$ stands for one $.
func expand(text string, mapping func(string) (string, bool)) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		switch text[i+1] {
		case '$':
			b.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(text[i:], ')')
			if end < 0 {
				b.WriteByte('$')
				continue
			}
			reference := text[i : i+end+1]
			if value, ok := mapping(reference[2:end]); ok {
				b.WriteString(value)
			} else {
				b.WriteString(reference)
			}
			i += end
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}

func hostname(pod *corev1.Pod) string {
	if pod.Spec.HostNetwork {
		return pod.Spec.NodeName
	}
	if pod.Spec.Hostname != "" {
		return pod.Spec.Hostname
	}
	return pod.Name[:min(len(pod.Name), 63)]
}

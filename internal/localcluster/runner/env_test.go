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
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"switchyard.dev/switchyard/internal/serviceenv"
)

func source() envSource {
	objects := map[string]map[string]string{"settings": {"color": "blue", "SIZE": "L"}}
	read := func(name string) (map[string]string, error) {
		if data, ok := objects[name]; ok {
			return data, nil
		}
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, name)
	}
	return envSource{
		pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "shop", UID: "u", Labels: map[string]string{"app": "web"}},
			Spec:       corev1.PodSpec{NodeName: "node-1", ServiceAccountName: "robot"},
		},
		podIPs:    []netip.Addr{netip.MustParseAddr("10.244.0.2"), netip.MustParseAddr("fd00::2")},
		nodeIPs:   []netip.Addr{netip.MustParseAddr("172.18.0.2"), netip.MustParseAddr("fd18::2")},
		services:  []serviceenv.Variable{{Name: "WEB_SERVICE_HOST", Value: "10.0.0.3"}, {Name: "WEB_PORT", Value: "tcp://10.0.0.3:80"}},
		configMap: read, secret: read,
	}
}

func field(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

func fromConfigMap(name, object, key string, optional bool) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: object}, Key: key, Optional: &optional,
	}}}
}

func TestEnvironmentOfAContainer(t *testing.T) {
	container := &corev1.Container{
		EnvFrom: []corev1.EnvFromSource{
			{Prefix: "P_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "missing"}, Optional: new(true)}},
		},
		Env: []corev1.EnvVar{
			field("NAME", "metadata.name"), field("IPS", "status.podIPs"), field("IP", "status.podIP"), field("HOST", "status.hostIP"),
			field("NODE", "spec.nodeName"), field("ACCOUNT", "spec.serviceAccountName"), field("APP", "metadata.labels['app']"),
			fromConfigMap("COLOR", "settings", "color", false), fromConfigMap("NONE", "settings", "taste", true),
			{Name: "URL", Value: "http://$(WEB_SERVICE_HOST)/$(P_SIZE)/$(LATER)/$$(IP)"},
			{Name: "LATER", Value: "x"},
			{Name: "WEB_PORT", Value: "my own"},
			{Name: "CPUS", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "requests.cpu", Divisor: resource.MustParse("1m")}}},
		},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("250m")}},
	}
	got, err := containerEnv(source(), container)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"PATH=" + defaultPath, "HOME=/root", "HOSTNAME=web-1", "P_SIZE=L", "P_color=blue",
		"NAME=web-1", "IPS=10.244.0.2,fd00::2", "IP=10.244.0.2", "HOST=172.18.0.2", "NODE=node-1", "ACCOUNT=robot", "APP=web",
		"COLOR=blue", "URL=http://10.0.0.3/L/$(LATER)/$(IP)", "LATER=x", "WEB_PORT=my own", "CPUS=250", "WEB_SERVICE_HOST=10.0.0.3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestWhatAnEnvironmentLacksIsNamed(t *testing.T) {
	for want, v := range map[string]corev1.EnvVar{
		"environment variable A: ConfigMap settings has no key taste":                       fromConfigMap("A", "settings", "taste", false),
		`environment variable A: reading ConfigMap missing: configmaps "missing" not found`: fromConfigMap("A", "missing", "x", false),
		"environment variable A: field status.mood is not known to the downward API":        field("A", "status.mood"),
		"environment variable A: its source is not supported here":                          {Name: "A", ValueFrom: &corev1.EnvVarSource{}},
	} {
		if _, err := containerEnv(source(), &corev1.Container{Env: []corev1.EnvVar{v}}); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	failing := source()
	failing.configMap = func(string) (map[string]string, error) { return nil, errors.New("no API server") }
	if _, err := containerEnv(failing, &corev1.Container{Env: []corev1.EnvVar{fromConfigMap("A", "settings", "color", true)}}); err == nil {
		t.Error("an optional ConfigMap that can not be read is taken for one that is not there")
	}
}

func TestExpansion(t *testing.T) {
	known := func(name string) (string, bool) { return "<" + name + ">", name != "NO" }
	for text, want := range map[string]string{
		"$(A)": "<A>", "x$(A)$(B)y": "x<A><B>y", "$(NO)": "$(NO)", "$$(A)": "$(A)", "$$$(A)": "$<A>", "$A": "$A", "$": "$", "$(A": "$(A", "$()": "<>", "100$": "100$",
	} {
		if got := expand(text, known); got != want {
			t.Errorf("expand(%q) = %q, want %q", text, got, want)
		}
	}
}

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

package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A program that is told of a file ends at once where the file is not, which no
// API server finds. So each value is set alone, as most who install set it.
func TestFilesOfArgumentsAreThereWithEachValueAlone(t *testing.T) {
	all, err := settled()
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			checkFiles(t, request{values: "mode: " + mode}.manifests(t))
			for _, v := range all {
				if v.path == "mode" || mode == "stock" && v.path == "node.announce" { // which is refused
					continue
				}
				t.Run(v.path, func(t *testing.T) {
					t.Parallel()
					values := parsed(t, "mode: "+mode)
					change(values, v)
					if v.path == "node.extraVolumeMounts" { // its volumes are the user's, too
						setValues(t, values, "node: {extraVolumes: [{name: run, hostPath: {path: /run/frr}}]}")
					}
					checkFiles(t, request{values: written(t, values)}.manifests(t))
				})
			}
		})
	}
}

// checkFiles follows what the pods' arguments name to where it comes from.
func checkFiles(t *testing.T, objects map[string]map[string]any) {
	t.Helper()
	pods := 0
	for id, o := range objects {
		var template corev1.PodTemplateSpec
		var err error
		switch o["kind"] {
		case "Deployment":
			var d appsv1.Deployment
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(o, &d)
			template = d.Spec.Template
		case "DaemonSet":
			var d appsv1.DaemonSet
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(o, &d)
			template = d.Spec.Template
		default:
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		pods++
		for _, wrong := range missing(template.Spec, objects) {
			t.Errorf("%s: %s", id, wrong)
		}
	}
	if pods == 0 {
		t.Error("no pods are installed")
	}
}

// missing says what the containers of a pod look for in vain.
func missing(pod corev1.PodSpec, objects map[string]map[string]any) (wrong []string) {
	volumes := map[string]map[string]bool{}
	for _, v := range pod.Volumes {
		var err error
		if volumes[v.Name], err = filesOf(v, objects); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	for _, c := range append(slices.Clone(pod.InitContainers), pod.Containers...) {
		for _, m := range c.VolumeMounts {
			if _, ok := volumes[m.Name]; !ok {
				wrong = append(wrong, fmt.Sprintf("%s mounts %s, and there is no such volume", c.Name, m.Name))
			}
		}
		for _, from := range c.EnvFrom {
			if m := from.ConfigMapRef; m != nil && (m.Optional == nil || !*m.Optional) && objects["ConfigMap/"+m.Name] == nil {
				wrong = append(wrong, fmt.Sprintf("%s has its environment from ConfigMap %s, which nobody makes", c.Name, m.Name))
			}
		}
		for _, argument := range append(slices.Clone(c.Command[1:]), c.Args...) {
			_, file, _ := strings.Cut(argument, "=")
			if path.IsAbs(file) && !mounted(file, c.VolumeMounts, volumes) {
				wrong = append(wrong, fmt.Sprintf("%s is told %s, which no volume has", c.Name, argument))
			}
		}
	}
	return wrong
}

// mounted tells whether a volume has a file, or is the directory of that name.
func mounted(file string, mounts []corev1.VolumeMount, volumes map[string]map[string]bool) bool {
	return slices.ContainsFunc(mounts, func(m corev1.VolumeMount) bool {
		files := volumes[m.Name]
		return file == m.MountPath || path.Dir(file) == m.MountPath && (files == nil || files[path.Base(file)])
	})
}

// filesOf are those of a volume, as far as the chart makes them, and nil where it
// may be the user who does. A Secret is to be that of a Certificate, as the chart
// has none itself.
func filesOf(v corev1.Volume, objects map[string]map[string]any) (map[string]bool, error) {
	files := map[string]bool{}
	switch {
	case v.ConfigMap != nil:
		o := objects["ConfigMap/"+v.ConfigMap.Name]
		if o == nil && v.ConfigMap.Optional != nil && *v.ConfigMap.Optional {
			return nil, nil
		}
		if o == nil {
			return nil, fmt.Errorf("volume %s is ConfigMap %s, which nobody makes", v.Name, v.ConfigMap.Name)
		}
		data, _ := o["data"].(map[string]any)
		for key := range data {
			files[key] = len(v.ConfigMap.Items) == 0
		}
		for _, i := range v.ConfigMap.Items {
			files[i.Path] = data[i.Key] != nil
		}
		return files, nil
	case v.Secret != nil:
		for _, o := range objects {
			spec, _ := o["spec"].(map[string]any)
			if o["kind"] == "Certificate" && spec["secretName"] == v.Secret.SecretName {
				return files, nil
			}
		}
		return nil, fmt.Errorf("volume %s is Secret %s, which nobody makes", v.Name, v.Secret.SecretName)
	}
	return files, nil
}

func TestMissingFilesAreNoticed(t *testing.T) {
	pod := corev1.PodSpec{
		Volumes: []corev1.Volume{
			{Name: "a", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "a"}}}},
			{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}},
		},
		Containers: []corev1.Container{{
			Name: "c", Command: []string{"/program", "--certificates=/tls"}, Args: []string{"--config=/etc/a/here", "--more=/etc/a/there", "--leader-elect"},
			VolumeMounts: []corev1.VolumeMount{{Name: "a", MountPath: "/etc/a"}, {Name: "b", MountPath: "/etc/b"}},
			EnvFrom:      []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "e"}}}},
		}},
	}
	objects := map[string]map[string]any{"ConfigMap/a": {"data": map[string]any{"here": "text"}}}
	want := []string{
		"volume s is Secret s, which nobody makes",
		"c mounts b, and there is no such volume",
		"c has its environment from ConfigMap e, which nobody makes",
		"c is told --certificates=/tls, which no volume has",
		"c is told --more=/etc/a/there, which no volume has",
	}
	if diff := cmp.Diff(want, missing(pod, objects)); diff != "" {
		t.Errorf("what is found (-want +got):\n%s", diff)
	}
}

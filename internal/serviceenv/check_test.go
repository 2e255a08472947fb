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

package serviceenv

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// found is a finding as KIND: MESSAGE.
func found(findings []Finding) (all []string) {
	for _, f := range findings {
		all = append(all, fmt.Sprintf("%s: %s", f.Kind, f.Message))
	}
	return all
}

func TestWhatIsWrongWithVariables(t *testing.T) {
	for name, tc := range map[string]struct {
		services []*corev1.Service
		want     []string
	}{
		"nothing": {services: []*corev1.Service{service("shop", "web", "10.0.0.3", port(80, "", "http"))}},
		"a Service named like a port's variable of another (N2, N4)": {
			services: []*corev1.Service{service("shop", "web", "10.0.0.3", port(80, "", "")), service("shop", "web-service", "10.0.0.4", port(1, "", ""))},
			want: []string{"Collision: WEB_SERVICE_PORT is 80 of Service web or tcp://10.0.0.4:1 of Service web-service: " +
				"which of them a pod gets is left to chance"},
		},
		"several variables of a pair are one finding": {
			services: []*corev1.Service{
				service("shop", "web", "10.0.0.3", port(80, "", ""), port(81, "", "1-tcp")),
				service("shop", "web-service", "10.0.0.4", port(1, "", "")),
			},
			want: []string{"Collision: WEB_SERVICE_PORT is 80 of Service web or tcp://10.0.0.4:1 of Service web-service: " +
				"which of them a pod gets is left to chance, and 1 more variable likewise"},
		},
		"a variable with the same value from both does not count": {
			services: []*corev1.Service{
				service("shop", "web", "10.0.0.3", port(80, "", "80-tcp-port")),
				service("shop", "web-service", "10.0.0.3", port(80, "", "")),
			},
			want: []string{"Collision: WEB_SERVICE_PORT is 80 of Service web or tcp://10.0.0.3:80 of Service web-service: " +
				"which of them a pod gets is left to chance"},
		},
		"a Service that is taken for the API server (N9)": {
			services: []*corev1.Service{service("shop", "kubernetes", "10.0.0.3", port(80, "", "")), service("default", "kubernetes", "10.0.0.1", port(443, "", "https"))},
			want:     []string{"HidesKubernetes: Service shop/kubernetes hides default/kubernetes: programs of new pods take it for the API server"},
		},
		"and one that is not, as it has no variables": {
			services: []*corev1.Service{service("shop", "kubernetes", corev1.ClusterIPNone, port(80, "", "")), service("default", "kubernetes", "10.0.0.1", port(443, "", "https"))},
		},
		"a name that begins with a digit (N10)": {
			services: []*corev1.Service{service("shop", "1st", "10.0.0.3", port(80, "", "")), service("shop", "2nd", "10.0.0.4", port(80, "", ""))},
			want:     []string{"NoShellName: the variables of shop/1st, shop/2nd begin with a digit: programs see them, but no shell can read them"},
		},
	} {
		if diff := cmp.Diff(tc.want, found(Check(For(tc.services, "shop", true)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTooManyServicesForAProgram(t *testing.T) {
	var services []*corev1.Service
	for i := range 5000 {
		services = append(services, service("shop", fmt.Sprintf("a-service-with-a-name-%04d", i), "10.0.0.3", port(80, "", "")))
	}
	few, many := Check(For(services[:1000], "shop", true)), Check(For(services, "shop", true))
	if len(few) > 0 || len(many) != 1 || many[0].Kind != TooLarge || !strings.Contains(many[0].Remedy, "enableServiceLinks: false") {
		t.Errorf("1000 Services: %v; 5000 Services: %v", few, many)
	}
}

func TestVariablesOfAPod(t *testing.T) {
	started := metav1.NewTime(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	services := []*corev1.Service{
		service("default", "kubernetes", "10.0.0.1", port(443, "", "https")),
		service("shop", "redis", "10.0.0.2", port(6379, "", "")),
		service("shop", "late", "10.0.0.3", port(80, "", "")),
		service("other", "later", "10.0.0.4", port(80, "", "")),
	}
	for _, s := range services[2:] {
		s.CreationTimestamp = metav1.NewTime(started.Add(time.Second))
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}}
	pod := func(links bool, containers ...corev1.Container) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
			Spec:       corev1.PodSpec{EnableServiceLinks: &links, Containers: containers},
			Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "app", State: running}, {Name: "waits"}}},
		}
	}
	own := []corev1.EnvVar{{Name: "REDIS_PORT", Value: "6379"}}
	app, plain := corev1.Container{Name: "app", Env: own}, corev1.Container{Name: "plain"}
	late := "NotYet: container app has been running since before shop/late was made: it has no variables of it, or those of an older Service of that name"
	overrides := "Overridden: container app sets REDIS_PORT itself, which hides what the Services give"
	for name, tc := range map[string]struct {
		pod     *corev1.Pod
		visible bool
		redis   bool
		want    []string
	}{
		"set by its only container":        {pod(true, app), false, true, []string{overrides, late}},
		"set by one container of two":      {pod(true, app, plain), true, true, []string{overrides, late}},
		"without links (N9)":               {pod(false, app), false, false, nil},
		"with links where nothing is said": {&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: corev1.PodSpec{Containers: []corev1.Container{plain}}}, true, true, nil},
	} {
		variables, findings := ForPod(services, tc.pod)
		has := func(name string) bool {
			return slices.ContainsFunc(variables, func(v Variable) bool { return v.Name == name })
		}
		if has("REDIS_PORT") != tc.visible || has("REDIS_SERVICE_HOST") != tc.redis || !has("KUBERNETES_SERVICE_HOST") || has("LATER_SERVICE_HOST") {
			t.Errorf("%s: variables %v", name, variables)
		}
		if diff := cmp.Diff(tc.want, found(findings)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A container that sets the two variables itself does not take the Service for the
// API server, nor does one that gets no variables of its namespace.
func TestWhichPodsTakeAServiceForTheAPIServer(t *testing.T) {
	services := []*corev1.Service{service("shop", "kubernetes", "10.0.0.3", port(80, "", "")), service("default", "kubernetes", "10.0.0.1", port(443, "", "https"))}
	own := corev1.Container{Name: "app", Env: []corev1.EnvVar{{Name: "KUBERNETES_SERVICE_HOST"}, {Name: "KUBERNETES_SERVICE_PORT"}}}
	for name, tc := range map[string]struct {
		links      bool
		containers []corev1.Container
		want       bool
	}{
		"one that sets nothing":                  {true, []corev1.Container{{Name: "app"}}, true},
		"one that sets both":                     {true, []corev1.Container{own}, false},
		"one that sets the host alone":           {true, []corev1.Container{{Name: "app", Env: own.Env[:1]}}, true},
		"one beside another that sets both":      {true, []corev1.Container{own, {Name: "proxy"}}, true},
		"one without variables of its namespace": {false, []corev1.Container{{Name: "app"}}, false},
	} {
		_, findings := ForPod(services, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: corev1.PodSpec{EnableServiceLinks: &tc.links, Containers: tc.containers}})
		hides := slices.ContainsFunc(findings, func(f Finding) bool { return f.Kind == HidesKubernetes && f.Wrong() })
		if hides != tc.want {
			t.Errorf("%s: %v", name, found(findings))
		}
	}
}

// Of several the sentence is about them all.
func TestSeveralServicesAreYoungerThanAContainer(t *testing.T) {
	services := []*corev1.Service{service("shop", "a", "10.0.0.2", port(80, "", "")), service("shop", "b", "10.0.0.3", port(80, "", ""))}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	for _, s := range services {
		s.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	}
	_, findings := ForPod(services, pod)
	want := []string{"NotYet: container app has been running since before shop/a, shop/b were made: it has no variables of them, or those of older Services of their names"}
	if diff := cmp.Diff(want, found(findings)); diff != "" {
		t.Error("-want +got:\n" + diff)
	}
}

// Two findings are things to know, and no fault of the Services.
func TestWhichFindingsAreWrong(t *testing.T) {
	for kind, want := range map[Kind]bool{Collision: true, HidesKubernetes: true, NoShellName: true, TooLarge: true, Overridden: false, NotYet: false} {
		if got := (Finding{Kind: kind}).Wrong(); got != want {
			t.Errorf("%s: %t", kind, got)
		}
	}
}

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
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// agentPod is one as config/node has it, with these arguments.
func agentPod(args ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "switchyard-system", Name: "agent"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{
				Command: []string{"/switchyard-node"}, Args: args,
				VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/etc/switchyard-node"}},
			}},
			Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{
				ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "switchyard-node"}},
			}}},
		},
	}
}

func TestWhereAnAgentIsAsked(t *testing.T) {
	const file = "--config=/etc/switchyard-node/config.conf"
	for name, tc := range map[string]struct {
		args            []string
		file            string
		metrics, health int
		unknown         bool
	}{
		"by default":                  {metrics: 10249, health: 10256},
		"a file that says nothing":    {args: []string{file}, file: "mode: nftables\n", metrics: 10249, health: 10256},
		"a file":                      {args: []string{file}, file: "metricsBindAddress: 0.0.0.0:9249\nhealthzBindAddress: '[::1]:9256'\n", metrics: 9249, health: 9256},
		"an address without port":     {args: []string{file}, file: "metricsBindAddress: 127.0.0.1\n", metrics: 10249, health: 10256},
		"a node's address":            {args: []string{file}, file: "metricsBindAddress: 10.0.0.1:10249\n", health: 10256},
		"a file by another name":      {args: []string{"--config=/etc/switchyard-node/other"}, file: "metricsBindAddress: 0.0.0.0:9249\n", metrics: 10249, health: 10256, unknown: true},
		"a file that nobody may read": {args: []string{file}, metrics: 10249, health: 10256, unknown: true},
		"flags win":                   {args: []string{file, "--metrics-bind-address", "127.0.0.1:7249"}, file: "metricsBindAddress: 10.0.0.1:10249\n", metrics: 7249, health: 10256},
		"none":                        {args: []string{"--metrics-bind-address=", "--healthz-port=0"}},
	} {
		t.Run(name, func(t *testing.T) {
			objects := fake.NewClientBuilder()
			if tc.file != "" {
				objects.WithObjects(&corev1.ConfigMap{
					ObjectMeta: metav1.ObjectMeta{Namespace: "switchyard-system", Name: "switchyard-node"}, Data: map[string]string{"config.conf": tc.file},
				})
			}
			r := &reading{Asker: Asker{Reader: objects.Build()}, facts: &Facts{}}
			got := r.portsOf(t.Context(), agentPod(tc.args...))
			if diff := cmp.Diff([]int{tc.metrics, tc.health}, []int{got.metrics(), got.health()}); diff != "" || got.Known == tc.unknown {
				t.Errorf("known is %v, ports (-want +got):\n%s", got.Known, diff)
			}
		})
	}
}

// refused is a tunnel to where nobody listens.
type refused struct{}

func (refused) Close() error { return nil }

func (refused) Dial(context.Context, int) (net.Conn, error) {
	return nil, errors.New("dial tcp 127.0.0.1:10249: connect: connection refused")
}

// An agent that serves its metrics elsewhere is told of as one that was not seen, and
// one that should serve them as one that is silent.
func TestAnAgentElsewhereIsNotSilent(t *testing.T) {
	for name, tc := range map[string]struct {
		ports     Ports
		elsewhere bool
	}{
		"it is known where":       {ports: Ports{Known: true}},
		"it is not known where":   {elsewhere: true},
		"it is on another device": {ports: Ports{Known: true, Metrics: "10.0.0.1:10249"}, elsewhere: true},
		"it serves none":          {ports: Ports{Known: true, MetricsOff: true}, elsewhere: true},
	} {
		t.Run(name, func(t *testing.T) {
			var answer Answer
			err := answer.ask(t.Context(), refused{}, tc.ports)
			if err == nil || errors.Is(err, errElsewhere) != tc.elsewhere {
				t.Errorf("it is told of with %v", err)
			}
			f := wellFacts()
			f.Answers["agent-1"] = Answer{Err: err}
			r := f.Report(now)
			if seen := len(r.NotSeen) == 1 && strings.HasSuffix(r.NotSeen[0].What, "node-1"); r.Well() != tc.elsewhere || seen != tc.elsewhere || r.Partial() {
				t.Errorf("warnings: %v; not seen: %+v", kinds(r), r.NotSeen)
			}
		})
	}
	var answer Answer
	tunnel, _ := (&agents{pages: func(string) http.Handler { return agentPages(agentPage, http.StatusOK) }}).Open(t.Context(), Instance{})
	if err := answer.ask(t.Context(), tunnel, Ports{}); err != nil || answer.Version == "" {
		t.Errorf("%+v, %v", answer, err)
	}
}

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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestPlan(t *testing.T) {
	const always, onFailure, never = corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever
	running := func(r role) view { return view{role: r, policy: always, phase: phaseRunning, started: true} }
	starting := func(r role) view { return view{role: r, policy: always, phase: phaseRunning} }
	fresh := func(r role) view { return view{role: r, policy: always} }
	exited := func(r role, policy corev1.RestartPolicy, code int32, failures int) view {
		return view{role: r, policy: policy, phase: phaseExited, exitCode: code, failures: failures, finished: now}
	}
	for name, tc := range map[string]struct {
		views []view
		want  plan
	}{
		"all main containers start at once":             {[]view{fresh(roleMain), fresh(roleMain)}, plan{initialized: true, start: []int{0, 1}}},
		"an init container comes first, alone":          {[]view{fresh(roleInit), fresh(roleInit), fresh(roleMain)}, plan{start: []int{0}}},
		"the next init container follows a success":     {[]view{exited(roleInit, onFailure, 0, 1), fresh(roleInit), fresh(roleMain)}, plan{start: []int{1}}},
		"a running init container is waited for":        {[]view{running(roleInit), fresh(roleMain)}, plan{}},
		"a failed one is tried again":                   {[]view{exited(roleInit, onFailure, 1, 1), fresh(roleMain)}, plan{start: []int{0}}},
		"and then backs off":                            {[]view{exited(roleInit, onFailure, 1, 2), fresh(roleMain)}, plan{waiting: []int{0}, again: 10 * time.Second}},
		"a failed one that may not restart ends it all": {[]view{exited(roleInit, never, 1, 1), fresh(roleMain)}, plan{finished: true, failed: true}},
		"main containers follow the last one":           {[]view{exited(roleInit, onFailure, 0, 1), fresh(roleMain)}, plan{initialized: true, start: []int{1}}},
		"a sidecar starts before what follows":          {[]view{fresh(roleSidecar), fresh(roleInit), fresh(roleMain)}, plan{start: []int{0}}},
		"and is waited for until it is started":         {[]view{starting(roleSidecar), fresh(roleMain)}, plan{}},
		"but not until it ends":                         {[]view{running(roleSidecar), fresh(roleMain)}, plan{initialized: true, start: []int{1}}},
		"a sidecar restarts":                            {[]view{exited(roleSidecar, always, 1, 1), running(roleMain)}, plan{initialized: true, start: []int{0}}},
		"nothing to do":                                 {[]view{running(roleMain)}, plan{initialized: true}},
		"Always restarts after a success":               {[]view{exited(roleMain, always, 0, 1)}, plan{initialized: true, start: []int{0}}},
		"OnFailure restarts after a failure":            {[]view{exited(roleMain, onFailure, 1, 1)}, plan{initialized: true, start: []int{0}}},
		"OnFailure ends after a success":                {[]view{exited(roleMain, onFailure, 0, 1)}, plan{initialized: true, finished: true}},
		"Never ends after a failure":                    {[]view{exited(roleMain, never, 1, 1)}, plan{initialized: true, finished: true, failed: true}},
		"one that runs keeps the Pod":                   {[]view{exited(roleMain, never, 1, 1), running(roleMain)}, plan{initialized: true}},
		"a sidecar does not keep a finished Pod":        {[]view{running(roleSidecar), exited(roleMain, never, 0, 1)}, plan{initialized: true, finished: true}},
		"the shortest back-off decides": {
			[]view{exited(roleMain, always, 1, 4), exited(roleMain, always, 1, 2), running(roleMain)},
			plan{initialized: true, waiting: []int{0, 1}, again: 10 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, planContainers(tc.views, now), cmp.AllowUnexported(plan{})); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBackOffDoublesUpToFiveMinutes(t *testing.T) {
	var got []time.Duration
	for failures := range 10 {
		got = append(got, backOff(failures))
	}
	s := time.Second
	want := []time.Duration{0, 0, 10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 300 * s, 300 * s, 300 * s}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("back-off (-want +got):\n%s", diff)
	}
	if backOff(1000) != maxBackOff {
		t.Errorf("after 1000 failures: %s", backOff(1000))
	}
}

func TestProbesCountInARow(t *testing.T) {
	for name, tc := range map[string]struct {
		success, failure int32
		results          string // + and -
		want             string // the state after each
		initial          bool
	}{
		"one success is enough":              {1, 3, "+", "+", false},
		"failures count up to the threshold": {1, 3, "+---", "+++-", false},
		"a success in between starts anew":   {1, 3, "+--+--", "++++++", false},
		"successes count, too":               {2, 1, "++-++", "-+--+", false},
		"liveness begins well":               {1, 2, "--", "+-", true},
		"zero thresholds are the default":    {0, 0, "+-", "+-", false},
	} {
		state := newProbeState(&corev1.Probe{SuccessThreshold: tc.success, FailureThreshold: tc.failure}, tc.initial)
		var got string
		for _, result := range tc.results {
			state.observe(result == '+')
			got += map[bool]string{true: "+", false: "-"}[state.result]
		}
		if got != tc.want {
			t.Errorf("%s: %s gives %s, want %s", name, tc.results, got, tc.want)
		}
	}
}

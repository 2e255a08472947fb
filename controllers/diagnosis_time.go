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

package controllers

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/internal/diagnosis"
)

// byHandPace is how often a Service is looked at that is waiting for endpoints by
// another hand, and an ExternalName that stands for a Service: nobody watches
// Endpoints objects and targets for them.
const byHandPace = 5 * time.Minute

// nextLook is when the verdict may change by the passing of time alone: what is
// new is given time by the examination, and Endpoints are not watched. It is 0 for
// most Services.
func nextLook(f *diagnosis.Facts, found *diagnosis.Report) time.Duration {
	wait := untilSettled(f)
	if f.Service.Spec.Type == corev1.ServiceTypeExternalName {
		if _, inside := targetOf(f.Service, f.Zone); inside {
			wait = sooner(wait, byHandPace)
		}
		return wait
	}
	if step, made := found.Step(diagnosis.CheckSelector); made && step.Reason == diagnosis.NoSelectorNoEndpoints {
		wait = sooner(wait, byHandPace)
	}
	if step, made := found.Step(diagnosis.CheckSlices); made && step.Reason == diagnosis.EndpointsNotMirrored {
		wait = sooner(wait, byHandPace)
	}
	if f.Endpoints != nil && f.Endpoints.Annotations[corev1.EndpointsOverCapacity] == "" && len(f.Service.Spec.Selector) > 0 {
		wait = sooner(wait, endpointsPace) // it is about to be truncated
	}
	return wait
}

// untilSettled is until the last of what has changed just now is old enough to be
// judged.
func untilSettled(f *diagnosis.Facts) time.Duration {
	last := f.Service.CreationTimestamp.Time
	for _, pod := range f.Selected {
		for _, changed := range podTimes(pod) {
			if changed.After(last) {
				last = changed
			}
		}
	}
	if age := f.Now.Sub(last); age < diagnosis.SettleTime {
		return diagnosis.SettleTime - age + time.Second // times of objects have no fractions
	}
	return 0
}

func podTimes(pod *corev1.Pod) []time.Time {
	times := []time.Time{pod.CreationTimestamp.Time}
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodReady {
			times = append(times, pod.Status.Conditions[i].LastTransitionTime.Time)
		}
	}
	if pod.DeletionTimestamp != nil {
		times = append(times, pod.DeletionTimestamp.Time)
	}
	return times
}

// sooner is the shorter of two waits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

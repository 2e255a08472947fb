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
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/placeholder"
)

// +kubebuilder:rbac:groups="",resources=services,verbs=create,namespace=switchyard-system

// probeDelay is how long the API server has to finish what ended a double: it
// frees the ports of a deleted Service after the watch has told of it.
const probeDelay = 2 * time.Second

// probeLater has a port looked at that was held twice and no longer is. When one
// of two Services goes, the API server frees the port for both
// (kubernetes/kubernetes#64466), until its repair takes it again, minutes later.
func (r *AllocationReconciler) probeLater(ended situation) {
	if ended.reason != reasonPortTaken || len(r.Index.Holders(ended.number)) != 1 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.probes == nil {
		r.probes = map[allocator.Number]time.Time{}
	}
	r.probes[ended.number] = r.Now().Add(probeDelay)
}

// probe looks at the ports that are due, and says how long the next one has.
func (r *AllocationReconciler) probe(ctx context.Context) (wait time.Duration, err error) {
	due, wait := r.dueProbes()
	for i, number := range due {
		holders := r.Index.Holders(number)
		if len(holders) != 1 {
			continue
		}
		taken, err := placeholder.FirstTaken(ctx, r.Client, r.Namespace, number.Port)
		if err != nil {
			r.probeAgain(due[i:])
			return 0, err
		}
		if taken != 0 {
			continue
		}
		allocationProblems.WithLabelValues(reasonPortMissing).Inc()
		r.Recorder.Eventf(serviceRef(holders[0].Service, holders[0].UID), nil, corev1.EventTypeWarning, reasonPortMissing, "Repair",
			"Port %s of Service %s counts as free since another Service that had it is gone: another may get it until the API server's repair takes it again",
			number, holders[0].Service)
	}
	return wait, nil
}

// probeAgain has ports looked at by the next attempt.
func (r *AllocationReconciler) probeAgain(numbers []allocator.Number) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, number := range numbers {
		r.probes[number] = r.Now()
	}
}

func (r *AllocationReconciler) dueProbes() (due []allocator.Number, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for number, at := range r.probes {
		left := at.Sub(r.Now())
		if left > 0 {
			wait = earliest(wait, left)
			continue
		}
		due = append(due, number)
		delete(r.probes, number)
	}
	return due, wait
}

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
	ctrl "sigs.k8s.io/controller-runtime"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/placeholder"
)

// +kubebuilder:rbac:groups="",resources=services,verbs=create,namespace=switchyard-system

// probeDelay is how long the API server has to finish what ended a double: it
// frees the ports of a deleted Service after the watch has told of it.
const probeDelay = 2 * time.Second

// probeTries is how often it is asked about a port when it does not say: each time
// after twice as long.
const probeTries = 5

// probe is a look at a port that is to come.
type probe struct {
	at    time.Time
	tries int // that came to nothing
}

// probeLater has a port looked at that was held twice and no longer is. When one
// of two Services goes, the API server frees the port for both
// (kubernetes/kubernetes#64466), until its repair takes it again, minutes later.
func (r *AllocationReconciler) probeLater(ended situation) {
	if ended.reason != reasonPortTaken || len(r.Index.Holders(ended.number)) != 1 || !r.Index.GivesPort(ended.number) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.probes == nil {
		r.probes = map[allocator.Number]probe{}
	}
	r.probes[ended.number] = probe{at: r.Now().Add(probeDelay)}
}

// probe looks at the ports that are due, and says how long the next one has. What
// the API server does not tell of one is no reason to look at a Service again.
func (r *AllocationReconciler) probe(ctx context.Context) (wait time.Duration) {
	for number, due := range r.dueProbes() {
		holders := r.Index.Holders(number)
		if len(holders) != 1 {
			continue
		}
		taken, err := placeholder.FirstTaken(ctx, r.Client, r.Namespace, number.Port)
		if err != nil {
			ctrl.LoggerFrom(ctx).V(2).Info("Did not find out whether a port counts as free", "tries", due.tries+1, "reason", err.Error())
			r.probeAgain(number, due)
			continue
		}
		if taken != 0 {
			continue
		}
		allocationProblems.WithLabelValues(reasonPortMissing).Inc()
		r.Recorder.Eventf(serviceRef(holders[0].Service, holders[0].UID), nil, corev1.EventTypeWarning, reasonPortMissing, "Repair",
			"Port %s of Service %s counts as free since another Service that had it is gone: another may get it until the API server's repair takes it again",
			number, holders[0].Service)
	}
	return r.nextProbe()
}

// probeAgain has a port looked at some more times.
func (r *AllocationReconciler) probeAgain(number allocator.Number, last probe) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last.tries++; last.tries < probeTries {
		r.probes[number] = probe{r.Now().Add(probeDelay << last.tries), last.tries}
	}
}

func (r *AllocationReconciler) dueProbes() map[allocator.Number]probe {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := map[allocator.Number]probe{}
	for number, probe := range r.probes {
		if !probe.at.After(r.Now()) {
			due[number] = probe
			delete(r.probes, number)
		}
	}
	return due
}

func (r *AllocationReconciler) nextProbe() (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, probe := range r.probes {
		wait = earliest(wait, max(probe.at.Sub(r.Now()), time.Millisecond))
	}
	return wait
}

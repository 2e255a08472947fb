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
	"testing"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Of thousands of Services that are there at the start, those that are well wait for
// each other, and nobody waits for them.
func TestTurnsOfServicesThatWereThereBefore(t *testing.T) {
	r := &DiagnosisReconciler{began: judgedAt, firsts: rate.NewLimiter(20, 20)}
	old := &corev1.Service{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(judgedAt.Add(-time.Hour))}}
	made := &corev1.Service{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(judgedAt.Add(time.Minute))}}
	firstOf := func(found []metav1.Condition) []transition {
		return findTransitions(nil, found, nil, nil, judgedAt, 0).changed
	}
	var last *diagnosisMemory
	for i := range 5000 {
		last = &diagnosisMemory{}
		if wait := r.turn(old, firstOf(allWell()), last, judgedAt); wait > 250*time.Second || i < 20 != (wait == 0) {
			t.Fatalf("Service %d waits for %s", i, wait)
		}
	}
	bad := foundAs("False PodsNotReady", "False PodsNotReady", hasAddress, noConflict)
	for name, wait := range map[string]time.Duration{
		"one that is bad":           r.turn(old, firstOf(bad), &diagnosisMemory{}, judgedAt),
		"one with a hint":           r.turn(old, firstOf(foundAs(endpointsReady, "True TrafficPolicyLocalWithoutLocalEndpoints", hasAddress, noConflict)), &diagnosisMemory{}, judgedAt),
		"one that is new":           r.turn(made, firstOf(allWell()), &diagnosisMemory{}, judgedAt),
		"one that is well again":    r.turn(old, findTransitions(bad, allWell(), nil, nil, judgedAt, 0).changed, &diagnosisMemory{}, judgedAt),
		"the last when its turn is": r.turn(old, firstOf(allWell()), last, judgedAt.Add(250*time.Second)),
	} {
		if wait != 0 {
			t.Errorf("%s waits for %s", name, wait)
		}
	}
	if wait := r.turn(old, firstOf(allWell()), last, judgedAt.Add(100*time.Second)); wait < 140*time.Second || wait > 150*time.Second {
		t.Errorf("the last waits for %s after 100 s: it has lost its turn", wait)
	}
}

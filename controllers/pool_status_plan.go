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
	"fmt"
	"math"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
)

// Reasons of the conditions of pools.
const (
	poolReady         = "Ready"
	poolPartlyOutside = "PartlyOutOfRange"
	poolOutside       = "OutOfRange"
	poolOverlapped    = "NothingLeft"
	poolInvalid       = "Invalid"
	poolOverlaps      = "Overlaps"
	poolNoOverlap     = "NoOverlap"
)

// poolSpans is what the conditions of a pool of either kind are about, in words.
type poolSpans struct {
	own       int      // spans that no other pool has precedence in
	outside   []string // those of them that are never given
	limit     string   // what they lie outside of
	capacity  uint64
	conflicts []string // span and pool that has it
}

// portPoolStatus is the status of a port pool.
func portPoolStatus(
	view allocator.PortPoolView, limit string, before v1alpha1.PortPoolStatus, generation int64, now time.Time,
) v1alpha1.PortPoolStatus {
	next := *before.DeepCopy()
	next.ObservedGeneration = generation
	next.Capacity, next.Allocated = int32(view.Count.Capacity), int32(view.Count.Allocated)
	next.Reserved, next.Free = int32(view.Count.Reserved), int32(view.Count.Free)
	spans := poolSpans{own: len(view.Effective), limit: limit, capacity: view.Count.Capacity}
	for _, s := range view.Outside {
		spans.outside = append(spans.outside, portSpanText(s))
	}
	for _, c := range view.Conflicts {
		spans.conflicts = append(spans.conflicts, portSpanText(c.Span)+" belongs to PortPool "+c.With+", which has precedence")
	}
	spans.conditions(&next.Conditions, generation, now)
	return next
}

// addressPoolStatus is the status of an address pool.
func addressPoolStatus(
	view allocator.AddrPoolView, limit string, before v1alpha1.AddressPoolStatus, generation int64, now time.Time,
) v1alpha1.AddressPoolStatus {
	next := *before.DeepCopy()
	next.ObservedGeneration = generation
	next.IPv4, next.IPv6 = addressCount(view.IPv4), addressCount(view.IPv6)
	spans := poolSpans{own: len(view.Effective), limit: limit, capacity: max(view.IPv4.Capacity, view.IPv6.Capacity)}
	for _, s := range view.Outside {
		spans.outside = append(spans.outside, s.String())
	}
	for _, c := range view.Conflicts {
		spans.conflicts = append(spans.conflicts, c.Span.String()+" belongs to AddressPool "+c.With+", which has precedence")
	}
	spans.conditions(&next.Conditions, generation, now)
	return next
}

func addressCount(count allocator.PoolCount) v1alpha1.AddressCount {
	limit := func(n uint64) int64 { return int64(min(n, math.MaxInt64)) }
	return v1alpha1.AddressCount{
		Capacity: limit(count.Capacity), Allocated: limit(count.Allocated), Reserved: limit(count.Reserved), Free: limit(count.Free),
	}
}

func portSpanText(span allocator.PortSpan) string {
	if span.First == span.Last {
		return fmt.Sprint(span.First)
	}
	return span.String()
}

func (p poolSpans) conditions(conditions *[]metav1.Condition, generation int64, now time.Time) {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: generation,
		Reason: poolReady, Message: "its numbers can be given"}
	switch {
	case p.own == 0:
		ready.Status, ready.Reason = metav1.ConditionFalse, poolOverlapped
		ready.Message = "other pools have precedence for all its numbers: see the condition Conflicted"
	case p.capacity == 0:
		ready.Status, ready.Reason = metav1.ConditionFalse, poolOutside
		ready.Message = fmt.Sprintf("%s is outside of %s and never given", enumerate(p.outside, ", "), p.limit)
	case len(p.outside) > 0:
		ready.Reason = poolPartlyOutside
		ready.Message = fmt.Sprintf("its numbers can be given, but %s, outside of %s, never is", enumerate(p.outside, ", "), p.limit)
	}
	setCondition(conditions, ready, now)
	conflicted := metav1.Condition{Type: v1alpha1.ConditionConflicted, Status: metav1.ConditionFalse, ObservedGeneration: generation,
		Reason: poolNoOverlap, Message: "no pool has precedence for any of its numbers"}
	if len(p.conflicts) > 0 {
		conflicted.Status, conflicted.Reason = metav1.ConditionTrue, poolOverlaps
		conflicted.Message = enumerate(p.conflicts, "; ")
	}
	setCondition(conditions, conflicted, now)
}

// enumerate names the first few: a condition has room for 32 KiB, and a reader for
// less.
func enumerate(texts []string, separator string) string {
	const most = 8
	if len(texts) <= most {
		return strings.Join(texts, separator)
	}
	return strings.Join(texts[:most], separator) + fmt.Sprintf("%sand %d more", separator, len(texts)-most)
}

// invalidPool are the conditions of a pool that can not be read.
func invalidPool(conditions *[]metav1.Condition, err error, generation int64, now time.Time) {
	setCondition(conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: generation,
		Reason: poolInvalid, Message: err.Error()}, now)
}

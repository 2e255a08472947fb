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

package health

import (
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// The values of label operation.
const (
	opAdd     = "add"
	opDelete  = "delete"
	opReplace = "replace"
)

// The causes of full syncs: the first one, a foreign change to undo, the node's
// addresses and ranges, and what the kernel refused before.
const (
	causeStart   = "start"
	causeRepair  = "repair"
	causeNode    = "node"
	causeFailure = "failure"
)

// What a repair found to be missing.
const (
	lostTable    = "table"
	lostElements = "elements"
)

// Sync is one attempt to bring a family's table up to date.
type Sync struct {
	Family   model.Family
	Duration time.Duration
	// Cause is why everything was compared with the kernel, in a word of which
	// there are few; empty when only changes were written.
	Cause string
	Err   error
	// ServicePorts and Endpoints are how many are programmed now.
	ServicePorts, Endpoints int
	// NoLocalInternal and NoLocalExternal are how many of the ServicePorts have
	// the policy Local and no endpoint on this node, but some on others.
	NoLocalInternal, NoLocalExternal int
	// Added, Deleted and Replaced are the elements written; Recreated says that
	// the table was not there or not as it should be.
	Added, Deleted, Replaced int
	Recreated                bool
	// Queued is when the oldest of the changes arrived here; zero if unknown.
	Queued time.Time
	// Triggers are when the causes of the change happened in the cluster.
	Triggers []time.Time
}

// Synced records one sync.
func (m *Metrics) Synced(s Sync) {
	label, k := s.Family.String(), m.kubeproxy
	kind := k.syncPartial
	if s.Cause != "" {
		kind = k.syncFull
		m.switchyard.fullSyncs.WithLabelValues(label, s.Cause).Inc()
	}
	for _, histogram := range []*prometheus.HistogramVec{k.syncAll, kind} {
		histogram.WithLabelValues(label).Observe(s.Duration.Seconds())
	}
	if s.Err != nil {
		k.syncFailures.WithLabelValues(label).Inc()
		return
	}
	k.lastSync.WithLabelValues(label).SetToCurrentTime()
	k.noLocalEndpoints.WithLabelValues(internal, label).Set(float64(s.NoLocalInternal))
	k.noLocalEndpoints.WithLabelValues(external, label).Set(float64(s.NoLocalExternal))
	for _, trigger := range s.Triggers {
		k.programming.WithLabelValues(label).Observe(time.Since(trigger).Seconds())
	}
	m.written(s, label)
}

func (m *Metrics) written(s Sync, label string) {
	own := m.switchyard
	own.servicePorts.WithLabelValues(label).Set(float64(s.ServicePorts))
	own.endpoints.WithLabelValues(label).Set(float64(s.Endpoints))
	for operation, count := range map[string]int{opAdd: s.Added, opDelete: s.Deleted, opReplace: s.Replaced} {
		own.written.WithLabelValues(label, operation).Add(float64(count))
	}
	if !s.Queued.IsZero() {
		own.programming.WithLabelValues(label).Observe(time.Since(s.Queued).Seconds())
	}
	switch {
	case s.Cause != causeRepair:
		return
	case s.Recreated:
		own.repairs.WithLabelValues(label, lostTable).Inc()
	case s.Added+s.Deleted+s.Replaced > 0:
		own.repairs.WithLabelValues(label, lostElements).Inc()
	default:
		return // nothing was lost
	}
	own.lastRepair.WithLabelValues(label).SetToCurrentTime()
}

// Queued notes the time of a change that waits.
func (m *Metrics) Queued(f model.Family) {
	m.kubeproxy.lastQueued.WithLabelValues(f.String()).SetToCurrentTime()
}

// Pending is how many events of the API a family has not programmed yet.
type Pending struct{ Services, EndpointSlices int }

// SetPending takes a family's number. What is served is that of the family that
// is further behind, as kube-proxy knows no families here.
func (m *Metrics) SetPending(f model.Family, pending Pending) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending[f] = pending
	var most Pending
	for _, p := range m.pending {
		most = Pending{max(most.Services, p.Services), max(most.EndpointSlices, p.EndpointSlices)}
	}
	m.kubeproxy.servicesPending.Set(float64(most.Services))
	m.kubeproxy.endpointsPending.Set(float64(most.EndpointSlices))
}

// Cleaned records one deletion of stale conntrack entries.
func (m *Metrics) Cleaned(f model.Family, took time.Duration, deleted int) {
	m.kubeproxy.conntrackDuration.WithLabelValues(f.String()).Observe(took.Seconds())
	m.kubeproxy.conntrackDeleted.WithLabelValues(f.String()).Add(float64(deleted))
}

// CleanupFailed counts a removal that the kernel refused, of a table or chain
// that nothing uses any more.
func (m *Metrics) CleanupFailed(f model.Family) {
	m.kubeproxy.cleanupFailures.WithLabelValues(f.String()).Inc()
}

// ChecksFailed counts health-check node ports that could not be opened.
func (m *Metrics) ChecksFailed(f model.Family, errs []*CheckError) {
	m.switchyard.checkFailures.WithLabelValues(f.String()).Add(float64(len(errs)))
}

var indexes = regexp.MustCompile(`\[[0-9]+\]`)

// Problem counts a part of an object that could not be used. Indexes are left
// out of the field, so that there are only as many series as fields.
func (m *Metrics) Problem(p model.Problem) {
	m.switchyard.problems.WithLabelValues(p.Object.Kind, indexes.ReplaceAllString(p.Field, "[]")).Inc()
}

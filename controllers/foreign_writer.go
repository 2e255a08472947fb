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
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// unleasedWindow is how long a write counts as fresh when there is no lease to
// tell whether its author has been restarted since.
const unleasedWindow = time.Minute

// ForeignWriterError says that endpoints are being written by somebody else.
type ForeignWriterError struct {
	// Mode is the mode that cannot start.
	Mode EndpointsMode
	// Object is the kind, namespace and name of what was written.
	Object string
	// Manager is the field manager that wrote it.
	Manager string
	// Time is when, to the second.
	Time time.Time
	// Leads says that Manager renews the lease of kube-controller-manager, and so
	// that another start of it ends the matter. Of others nothing but the age of
	// their last write is known.
	Leads bool
}

// Error names the writer, the evidence and the remedy.
func (e *ForeignWriterError) Error() string {
	return fmt.Sprintf("refusing to start --endpoints=%s: %s is still written by %q (last at %s), and two controllers must not write "+
		"the same endpoints: %s", e.Mode, e.Object, e.Manager, e.Time.UTC().Format(time.RFC3339), e.remedy())
}

func (e *ForeignWriterError) remedy() string {
	if e.Leads {
		return fmt.Sprintf("start kube-controller-manager with %s, or this manager with --endpoints=off", e.Mode.remedy())
	}
	return fmt.Sprintf("stop what writes as %q (kube-controller-manager: start it with %s); this manager starts a minute after the last such write, "+
		"be it of a controller or of a backup that was restored, or at once with --endpoints=off", e.Manager, e.Mode.remedy())
}

// foreignWrite is the latest time somebody else wrote an object's endpoints.
type foreignWrite struct {
	object  string
	manager string
	time    time.Time
	// leads is ForeignWriterError.Leads.
	leads bool
}

// latestForeignWrite reads an object's managed fields. Whoever owns the endpoints
// wrote them last: after our first write the previous author keeps nothing but
// labels and ports. An object without any endpoints is its author's, who set the
// managed-by label. People with kubectl are no controllers. Writes that do not
// count are passed over.
func latestForeignWrite(target guardTarget, object *metav1.PartialObjectMetadata, counts func(foreignWrite) bool) *foreignWrite {
	field := writtenField(target, object)
	var latest *foreignWrite
	for _, entry := range object.ManagedFields {
		if !ownsField(entry, field) || entry.Time == nil || isOurs(entry.Manager) || isPerson(entry.Manager) {
			continue
		}
		write := foreignWrite{
			object:  target.kind.Kind + " " + client.ObjectKeyFromObject(object).String(),
			manager: entry.Manager,
			time:    entry.Time.Time,
		}
		if counts(write) {
			latest = later(latest, &write)
		}
	}
	return latest
}

// writtenField is the one whose owner counts as the object's writer.
func writtenField(target guardTarget, object *metav1.PartialObjectMetadata) string {
	field := "f:" + target.contents
	if slices.ContainsFunc(object.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool { return ownsField(entry, field) }) {
		return field
	}
	return "f:" + target.label
}

func isOurs(manager string) bool   { return strings.HasPrefix(manager, "switchyard-") }
func isPerson(manager string) bool { return strings.HasPrefix(manager, "kubectl") }

func ownsField(entry metav1.ManagedFieldsEntry, field string) bool {
	return entry.FieldsV1 != nil && bytes.Contains(entry.FieldsV1.Raw, []byte(`"`+field+`":`))
}

func later(a, b *foreignWrite) *foreignWrite {
	if a == nil || b != nil && b.time.After(a.time) {
		return b
	}
	return a
}

// stillAtWork tells a writer that is at work from one that has left its name on
// old objects. A process cannot change its --controllers while it runs, and each
// start of kube-controller-manager acquires the leader lease anew:
//
//	written before the lease was acquired  an earlier process, maybe other flags
//	written since, lease is renewed        the process that wrote it still runs
//	written since, lease has expired       the process is gone
//	no lease to be seen                    only a fresh write is evidence
//	written by somebody else               the same: a backup that was restored stays
//	                                       its author's for good
//
// Who renews the lease is told by its managed fields: kube-controller-manager may
// be part of a program of another name.
//
// So a quiet cluster is told from an abandoned one without waiting, and
// whoever has just reconfigured kube-controller-manager can start us at once.
func stillAtWork(write foreignWrite, lease *coordinationv1.Lease, now time.Time) bool {
	if !leads(write.manager, lease) {
		return now.Sub(write.time) < unleasedWindow
	}
	if now.Sub(lease.Spec.RenewTime.Time) > 2*leaseDuration(lease) {
		return false
	}
	// Managed fields know whole seconds only.
	return !write.time.Before(lease.Spec.AcquireTime.Truncate(time.Second))
}

// leads tells whether the lease speaks for a writer.
func leads(manager string, lease *coordinationv1.Lease) bool {
	return lease != nil && lease.Spec.AcquireTime != nil && lease.Spec.RenewTime != nil && renewedBy(lease, manager)
}

// renewedBy is true where nobody is known to renew the lease.
func renewedBy(lease *coordinationv1.Lease, manager string) bool {
	known := false
	for _, entry := range lease.ManagedFields {
		if ownsField(entry, "f:renewTime") {
			if entry.Manager == manager {
				return true
			}
			known = true
		}
	}
	return !known
}

func leaseDuration(lease *coordinationv1.Lease) time.Duration {
	if lease.Spec.LeaseDurationSeconds == nil {
		return 15 * time.Second
	}
	return time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second
}

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

package certificate

import (
	"bytes"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// writer is the field manager that a bundle which is not ours is from.
type writer struct {
	name string
	time time.Time
}

// nobodyKnown is who deletes: no object says it.
const nobodyKnown = "unknown"

// writerOf reads an object's managed fields. Where nobody else owns a bundle, it was
// taken away with the rest of what somebody else wrote last. Where nobody
// else has written at all, what we write is changed on its way, or it is
// another installation's.
func writerOf(fields []metav1.ManagedFieldsEntry) (writer, bool) {
	owner, _ := lastWriter(fields, func(e metav1.ManagedFieldsEntry) bool { return ownsBundle(e) && !isOurs(e.Manager) })
	if owner.name != "" {
		return owner, true
	}
	ours := false
	for _, e := range fields {
		ours = ours || ownsBundle(e)
	}
	return lastWriter(fields, func(e metav1.ManagedFieldsEntry) bool { return isOurs(e.Manager) == ours })
}

func lastWriter(fields []metav1.ManagedFieldsEntry, counts func(metav1.ManagedFieldsEntry) bool) (last writer, ok bool) {
	for _, e := range fields {
		if counts(e) && e.Time != nil && (!ok || e.Time.After(last.time)) {
			last, ok = writer{name: e.Manager, time: e.Time.Time}, true
		}
	}
	return last, ok
}

func ownsBundle(e metav1.ManagedFieldsEntry) bool {
	return e.FieldsV1 != nil && bytes.Contains(e.FieldsV1.Raw, []byte(`"f:caBundle":`))
}

// ownsCertificate is true for somebody else's entry that has keys of the Secret.
func ownsCertificate(e metav1.ManagedFieldsEntry) bool {
	if e.FieldsV1 == nil || isOurs(e.Manager) {
		return false
	}
	for _, key := range []string{authorityCert, authorityKey, servingCert, servingKey} {
		if bytes.Contains(e.FieldsV1.Raw, []byte(`"f:`+key+`":`)) {
			return true
		}
	}
	return false
}

func isOurs(manager string) bool { return strings.HasPrefix(manager, "switchyard-") }

// remedy ends the matter.
func (w writer) remedy() string {
	switch {
	case strings.Contains(w.name, "cainjector"):
		return "remove the annotation cert-manager.io/inject-ca-from from the configuration, or give the managers cert-manager's certificate with --webhook-cert-path"
	case isOurs(w.name):
		return "let no admission policy change caBundle, and no other installation use this configuration"
	default:
		return "have it leave caBundle of the configuration alone, or give the managers its certificate with --webhook-cert-path"
	}
}

// secretRemedy ends the matter of the Secret.
func (w writer) secretRemedy() string {
	if w.name == nobodyKnown {
		return "find in the API server's audit log who deletes the Secret, and have it leave the Secret alone"
	}
	return "have it write another Secret, and give the managers its certificate with --webhook-cert-path if they are to serve that"
}

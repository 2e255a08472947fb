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

package webhooks

import (
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// drawn tells that the node port of a Service's port, or with nil its health
// check's, was chosen by the API server or by us, as nobody owns the field: the
// server notes who wrote what before it allocates and before it asks mutating
// webhooks. Where it has noted nothing the port counts as asked for.
func drawn(change ServiceChange, port *corev1.ServicePort) bool {
	return noted(change) && !setAside(change.Old, port) &&
		!slices.ContainsFunc(change.New.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool { return ownsNodePort(entry, port) })
}

// noted tells whether there are notes, and that the server has made some of this
// change. A client may send notes as well, and the server adds its own to them. But
// if it can not make sense of them, it leaves those of before the change.
func noted(change ServiceChange) bool {
	notes := change.New.ManagedFields
	return len(notes) > 0 && (change.Old == nil || !equality.Semantic.DeepEqual(change.Old.ManagedFields, notes))
}

// setAside tells that the Service had the port while its type has no node ports,
// as an ExternalName may. Who wrote it then may since have been taken off the notes.
func setAside(old *corev1.Service, port *corev1.ServicePort) bool {
	return old != nil && port != nil && old.Spec.Type == corev1.ServiceTypeExternalName &&
		slices.ContainsFunc(old.Spec.Ports, func(had corev1.ServicePort) bool { return had.NodePort == port.NodePort })
}

// ownsNodePort is also true for what can not be read.
func ownsNodePort(entry metav1.ManagedFieldsEntry, port *corev1.ServicePort) bool {
	spec, err := ownedSpec(entry)
	if err != nil || port == nil {
		return err != nil || spec["f:healthCheckNodePort"] != nil
	}
	ports, err := spec.in("f:ports")
	for key := range ports {
		of, err := ports.in(key)
		// Clients may have added other keys of the same port, without the field.
		if err != nil || of["f:nodePort"] != nil && isKeyOf(port, key) {
			return true
		}
	}
	return err != nil
}

// isKeyOf is also true for a key that can not be read.
func isKeyOf(port *corev1.ServicePort, key string) bool {
	var of corev1.ServicePort
	err := json.Unmarshal([]byte(strings.TrimPrefix(key, "k:")), &of)
	return err != nil || of.Port == port.Port && of.Protocol == protocolOf(port.Protocol)
}

// drawnClusterIP tells the same of one of the Service's ClusterIPs. A request asks
// for the first alone or for all.
func drawnClusterIP(change ServiceChange, index int) bool {
	return noted(change) && !slices.ContainsFunc(change.New.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		spec, err := ownedSpec(entry)
		return err != nil || spec["f:clusterIPs"] != nil || index == 0 && spec["f:clusterIP"] != nil
	})
}

// owned are the fields of an object, or keys of a list, that an entry of the notes
// names. It is no struct, since Go would take f:Spec, or f:\u017fpec, for f:spec there.
type owned map[string]json.RawMessage

func ownedSpec(entry metav1.ManagedFieldsEntry) (owned, error) {
	if entry.FieldsV1 == nil {
		return nil, nil
	}
	return owned{"": entry.FieldsV1.Raw}.in("", "f:spec")
}

// in is what is owned below.
func (o owned) in(path ...string) (owned, error) {
	for _, name := range path {
		text := o[name]
		if o = nil; text == nil {
			return nil, nil
		}
		if err := json.Unmarshal(text, &o); err != nil {
			return nil, err
		}
	}
	return o, nil
}

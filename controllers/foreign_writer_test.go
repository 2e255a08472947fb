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
	"strings"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// leasedServer is an API server on which kube-controller-manager has led for two
// months.
type leasedServer struct{ apiServer }

func (*leasedServer) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	*object.(*coordinationv1.Lease) = coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{managed("kube-controller-manager", 1, `{"f:spec":{"f:renewTime":{}}}`)}},
		Spec: coordinationv1.LeaseSpec{
			AcquireTime: &metav1.MicroTime{Time: noon.AddDate(0, -2, 0)}, RenewTime: &metav1.MicroTime{Time: noon},
		},
	}
	return nil
}

// TestWhoKeepsUsFromStarting: a backup that was restored a month ago does not,
// though its labels are still its own. What is told helps against whoever does.
func TestWhoKeepsUsFromStarting(t *testing.T) {
	const (
		label = `{"f:metadata":{"f:labels":{"f:endpoints.kubernetes.io/managed-by":{}}}}`
		month = 30 * 24 * 3600
		kcm   = "kube-controller-manager"
	)
	flags := EndpointsAll.remedy()
	for title, tc := range map[string]struct {
		entries []metav1.ManagedFieldsEntry
		says    []string
		not     string
	}{
		"nobody": {},
		"a backup of a month ago": {
			entries: []metav1.ManagedFieldsEntry{managed("velero-server", month, label)},
		},
		"a backup that was restored just now": {
			entries: []metav1.ManagedFieldsEntry{managed("velero-server", 10, label)},
			says:    []string{`by "velero-server"`, `stop what writes as "velero-server"`, "a minute after the last such write", "--endpoints=off"},
		},
		"kube-controller-manager, which has not written for a month": {
			entries: []metav1.ManagedFieldsEntry{managed(kcm, month, label)},
			says:    []string{`by "kube-controller-manager"`, "start kube-controller-manager with " + flags, "--endpoints=off"}, not: "a minute",
		},
		"kube-controller-manager, behind a backup of later": {
			entries: []metav1.ManagedFieldsEntry{managed(kcm, month, label), managed("velero-server", month/2, label)},
			says:    []string{`by "kube-controller-manager"`, flags}, not: "a minute",
		},
	} {
		t.Run(title, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &leasedServer{}
				server.set(metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", ManagedFields: tc.entries}})
				guard := NewWriterGuard(server, EndpointsAll)
				guard.now = func() time.Time { return noon }
				err := guard.Check(t.Context())
				if (err != nil) != (len(tc.says) > 0) {
					t.Fatalf("refused: %v", err)
				}
				for _, part := range tc.says {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q does not say %q", err, part)
					}
				}
				if tc.not != "" && strings.Contains(err.Error(), tc.not) {
					t.Errorf("%q says %q", err, tc.not)
				}
			})
		})
	}
}

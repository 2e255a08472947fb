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

package allocator

import (
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// ClaimLabel marks the Leases that are claims, and says of what.
	ClaimLabel = "switchyard.dev/claim"
	// RequestAnnotation is the UID of the admission request a claim was made for.
	RequestAnnotation = "switchyard.dev/admission-request"

	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "switchyard-manager"
)

// ClaimLease is the object that claims a number for every replica: its name is
// that of the number, so that creating it is the lock, and it names the Service
// it is meant for. A Lease has all that is needed and no data that could grow.
func ClaimLease(namespace string, claim Claim, request types.UID) *coordinationv1.Lease {
	kind := "clusterip"
	if claim.Number.IsPort() {
		kind = "nodeport"
	}
	holder := claim.Service.String()
	seconds := int32(ClaimLifetime / time.Second)
	acquired := metav1.NewMicroTime(claim.Created)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   namespace,
			Name:        claim.Number.ObjectName(),
			Labels:      map[string]string{ClaimLabel: kind, managedByLabel: managedBy},
			Annotations: map[string]string{RequestAnnotation: string(request)},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, AcquireTime: &acquired},
	}
}

// ClaimOfLease is the reverse of ClaimLease. Its age is counted from when the
// API server created it, whatever the clock of the replica that asked for it. That
// is in whole seconds: what is behind the point is believed of the replica that
// agrees. Who sees the claim come counts by its own clock instead (Claim.Seen).
func ClaimOfLease(lease *coordinationv1.Lease) (Claim, error) {
	number, err := ParseObjectName(lease.Name)
	if err != nil {
		return Claim{}, fmt.Errorf("reading claim %s/%s: %w", lease.Namespace, lease.Name, err)
	}
	claim := Claim{Number: number, Created: lease.CreationTimestamp.Time, UID: lease.UID}
	if acquired := lease.Spec.AcquireTime; acquired != nil && acquired.Truncate(time.Second).Equal(claim.Created) {
		claim.Created = acquired.Time
	}
	if lease.Spec.HolderIdentity != nil {
		namespace, name, _ := strings.Cut(*lease.Spec.HolderIdentity, "/")
		claim.Service = types.NamespacedName{Namespace: namespace, Name: name}
	}
	return claim, nil
}

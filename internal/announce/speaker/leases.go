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

package speaker

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typed "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/announce/claims"
	"switchyard.dev/switchyard/internal/announce/election"
	"switchyard.dev/switchyard/internal/balancer"
)

const (
	// Label marks the records of nodes that announce, and says how.
	Label = "switchyard.dev/announcer"
	byL2  = "l2"
	// standingAnnotation is there unless the node is fit.
	standingAnnotation = "switchyard.dev/announcer-standing"

	recordPrefix = "speaker-"
	// duration is what Leases say of themselves for people: election.Silence.
	duration = int32(election.Silence / time.Second)

	// renewPatience bounds a renewal, writePatience the writing of a claim.
	renewPatience = 700 * time.Millisecond
	writePatience = 2 * time.Second
)

// recordOf reads a record; ok is false if it is nobody's.
func recordOf(lease *coordinationv1.Lease) (r election.Record, ok bool) {
	node, ok := strings.CutPrefix(lease.Name, recordPrefix)
	r = election.Record{Node: node, Version: claims.Version(lease.ResourceVersion), Standing: announce.Fit}
	r.Gone = lease.Spec.HolderIdentity == nil
	switch lease.Annotations[standingAnnotation] {
	case announce.LastResort.String():
		r.Standing = announce.LastResort
	case announce.Unfit.String():
		r.Standing = announce.Unfit
	}
	return r, ok && node != ""
}

// leases reads and writes Leases of one namespace.
type leases struct {
	typed.LeaseInterface
	namespace, node string
	// owner is the Node, which takes its record with it.
	owner    metav1.OwnerReference
	suspects *suspects
}

type values map[string]any

func now() metav1.MicroTime { return metav1.NowMicro() }

// renew writes this node's record; one that is gone answers for nothing.
func (l leases) renew(ctx context.Context, standing announce.Standing, gone bool) error {
	spec := values{"holderIdentity": l.node, "leaseDurationSeconds": duration, "renewTime": now()}
	if gone {
		spec["holderIdentity"] = nil
	}
	annotations := values{standingAnnotation: nil}
	if standing != announce.Fit {
		annotations[standingAnnotation] = standing.String()
	}
	patch, err := json.Marshal(values{"metadata": values{"annotations": annotations}, "spec": spec})
	if err != nil {
		return err
	}
	_, err = l.Patch(ctx, recordPrefix+l.node, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) && !gone {
		return l.begin(ctx, standing)
	}
	if gone && apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (l leases) begin(ctx context.Context, standing announce.Standing) error {
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: recordPrefix + l.node, Labels: map[string]string{Label: byL2}},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &l.node, LeaseDurationSeconds: new(duration), RenewTime: new(now())},
	}
	if l.owner.UID != "" {
		lease.OwnerReferences = []metav1.OwnerReference{l.owner}
	}
	if standing != announce.Fit {
		lease.Annotations = map[string]string{standingAnnotation: standing.String()}
	}
	_, err := l.Create(ctx, lease, metav1.CreateOptions{})
	return err
}

// write makes a write of an election. The record and the claim that come back are
// news, if they are not nil.
func (l leases) write(ctx context.Context, w election.Write) (outcome election.Outcome, record *election.Record, claim *election.Claim, err error) {
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	if w.Suspect.Node != "" {
		live, err := l.suspects.record(ctx, w)
		if err != nil {
			return election.Unknown, nil, nil, err
		}
		if live.Version != w.Suspect.Version {
			return election.Refused, &live, nil, nil
		}
	}
	lease, err := l.Patch(ctx, l.name(w), types.MergePatchType, l.patch(w), metav1.PatchOptions{})
	outcome = election.Written
	if apierrors.IsConflict(err) {
		outcome = election.Refused
		lease, err = l.Get(ctx, l.name(w), metav1.GetOptions{})
	}
	if err != nil { // of one that is not there as well: the Book says whether it stays away
		return election.Unknown, nil, nil, err
	}
	a, err := claims.Read(lease)
	return outcome, nil, &a.Claim, err
}

// record reads one past every cache.
func (l leases) record(ctx context.Context, node string) (election.Record, error) {
	lease, err := l.Get(ctx, recordPrefix+node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return election.Record{Node: node}, nil
	}
	if err != nil {
		return election.Record{}, err
	}
	r, ok := recordOf(lease)
	if !ok {
		return r, fmt.Errorf("reading Lease %s: it is no node's", lease.Name)
	}
	return r, nil
}

func (l leases) name(w election.Write) string {
	return balancer.LeaseOf(l.namespace, balancer.Claim{Addr: w.Addr}).Name
}

// patch leaves to the manager what is its own: metadata. Each has a new time, so that
// it changes the version.
func (l leases) patch(w election.Write) []byte {
	spec := values{"leaseTransitions": w.Term, "leaseDurationSeconds": duration, "renewTime": now(), "holderIdentity": w.Holder}
	if w.Holder == "" {
		spec["holderIdentity"] = nil
	}
	if w.Kind != election.Confirm {
		spec["acquireTime"] = now()
	}
	patch, err := json.Marshal(values{"metadata": values{"resourceVersion": strconv.FormatUint(w.Version, 10)}, "spec": spec})
	if err != nil {
		panic(err) // a map of numbers and texts
	}
	return patch
}

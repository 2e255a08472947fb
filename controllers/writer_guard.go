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
	"fmt"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// guardRetry is how often the guard looks again until it agrees.
const guardRetry = 10 * time.Second

// guardPeriod is how often the leader looks again once it has agreed: an upgrade of
// the control plane may well bring kube-controller-manager's default flags back.
const guardPeriod = 5 * time.Minute

// guardPage bounds one page of the guard's lists: metadata only, but with the
// managed fields that our caches leave out.
const guardPage = 500

// +kubebuilder:rbac:roleName=manager-endpoints-role,groups=coordination.k8s.io,resources=leases,resourceNames=kube-controller-manager,verbs=get

// WriterGuard looks, past every cache, for another controller that still writes
// the objects we are about to take over. Every replica asks it before it is ready,
// and the leader once more before the controllers start: see writer_gate.go.
type WriterGuard struct {
	reader client.Reader
	mode   EndpointsMode
	now    func() time.Time
	retry  time.Duration
	period time.Duration

	// ready is closed once nobody else was found at work, and against says why it
	// is not.
	ready   chan struct{}
	against atomic.Pointer[error]
	// open is closed once the controllers may start.
	open chan struct{}
}

// NewWriterGuard needs a reader that does not cache.
func NewWriterGuard(uncached client.Reader, mode EndpointsMode) *WriterGuard {
	return &WriterGuard{
		reader: uncached, mode: mode, now: time.Now, retry: guardRetry, period: guardPeriod,
		ready: make(chan struct{}), open: make(chan struct{}),
	}
}

// Check returns a *ForeignWriterError when somebody else is at work. While the API
// server cannot be reached it waits and says so.
func (g *WriterGuard) Check(ctx context.Context) error {
	var refusal error
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(ctx context.Context) (bool, error) {
		live, err := g.look(ctx)
		if err != nil && !apierrors.IsForbidden(err) {
			ctrl.LoggerFrom(ctx).Error(err, "Looking for other endpoint controllers, trying again")
			return false, nil
		}
		if live != nil {
			refusal = g.refusal(live)
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("looking for other endpoint controllers: %w", err)
	}
	return refusal
}

func (g *WriterGuard) refusal(live *foreignWrite) error {
	return &ForeignWriterError{Mode: g.mode, Object: live.object, Manager: live.manager, Time: live.time, Leads: live.leads}
}

// look returns the latest write of somebody who is still at work, or nil.
func (g *WriterGuard) look(ctx context.Context) (*foreignWrite, error) {
	lease, err := g.lease(ctx)
	if err != nil {
		return nil, err
	}
	now := g.now()
	atWork := func(write foreignWrite) bool { return stillAtWork(write, lease, now) }
	var latest *foreignWrite
	for _, target := range g.targets() {
		found, err := g.latestIn(ctx, target, atWork)
		if err != nil {
			return nil, err
		}
		latest = later(latest, found)
	}
	if latest != nil {
		latest.leads = leads(latest.manager, lease)
	}
	return latest, nil
}

// guardTarget is one kind of object that exactly one controller may write.
type guardTarget struct {
	kind schema.GroupVersionKind
	// label and value are how the objects say which controller manages them.
	label, value string
	// contents is the field that holds the endpoints.
	contents string
}

func (g *WriterGuard) targets() []guardTarget {
	slice := discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice")
	mirrored := guardTarget{slice, discoveryv1.LabelManagedBy, EndpointSliceMirroringControllerName, "endpoints"}
	switch g.mode {
	case EndpointsAll:
		return []guardTarget{podSliceTarget, podEndpointsTarget, mirrored}
	case EndpointsSelectorless:
		return []guardTarget{mirrored}
	default:
		return nil
	}
}

func (g *WriterGuard) latestIn(ctx context.Context, target guardTarget, counts func(foreignWrite) bool) (*foreignWrite, error) {
	var latest *foreignWrite
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(target.kind.GroupVersion().WithKind(target.kind.Kind + "List"))
	for {
		err := g.reader.List(ctx, &list, client.MatchingLabels{target.label: target.value},
			client.Limit(guardPage), client.Continue(list.Continue))
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", target.kind.Kind, err)
		}
		for i := range list.Items {
			latest = later(latest, latestForeignWrite(target, &list.Items[i], counts))
		}
		if list.Continue == "" {
			return latest, nil
		}
	}
}

// lease is kube-controller-manager's, or nil when there is none to be seen.
func (g *WriterGuard) lease(ctx context.Context) (*coordinationv1.Lease, error) {
	var lease coordinationv1.Lease
	err := g.reader.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: "kube-controller-manager"}, &lease)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the lease of kube-controller-manager: %w", err)
	}
	return &lease, nil
}

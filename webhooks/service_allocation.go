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
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
)

// +kubebuilder:webhook:path=/mutate--v1-service,mutating=true,failurePolicy=ignore,sideEffects=NoneOnDryRun,timeoutSeconds=3,groups="",resources=services,verbs=create;update,versions=v1,name=mservice.switchyard.dev,admissionReviewVersions=v1,patch=`{"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["switchyard-system"]}]},"matchConditions":[{"name":"not-the-api-server","expression":"!(request.namespace == 'default' && request.name == 'kubernetes' && request.userInfo.username == 'system:apiserver')"},{"name":"not-cluster-dns","expression":"!(request.namespace == 'kube-system' && (request.name == 'kube-dns' || (has(object.metadata.labels) && 'k8s-app' in object.metadata.labels && object.metadata.labels['k8s-app'] == 'kube-dns')))"},{"name":"not-just-letting-go","expression":"!has(object.metadata.deletionTimestamp) || oldObject == null || object.spec != oldObject.spec"}]}`
// +kubebuilder:rbac:groups="",resources=services,verbs=get;list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=servicecidrs,verbs=list;watch
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ipaddresses,verbs=get
// +kubebuilder:rbac:groups="",resources=services,verbs=create,namespace=switchyard-system
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=switchyard.dev,resources=portpools;addresspools,verbs=list;watch
// +kubebuilder:rbac:groups=switchyard.dev,resources=portreservations;addressreservations,verbs=get;list;watch
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;create;delete,namespace=switchyard-system

// ServiceAllocation is the mutating webhook that decides the ClusterIPs and
// NodePorts of a Service before the API server allocates (which does so after
// mutating admission, and stays the last lock).
//
// In advisory mode it denies collisions naming the holder, and sets numbers only
// where the server would answer worse: an automatic port drawn before an explicit
// one of the same Service, and dry-run. In authoritative mode it sets every
// automatic number. Each number it chooses is claimed first by creating a Lease
// named after it, which is the lock between replicas. So are explicit numbers in
// authoritative mode, where a claim that somebody else has made is looked into
// until the holder is known or it turns out that its request came to nothing.
//
// A namespace that pools select gets numbers of its pools, others what is in no
// pool. A reserved number goes to its Service, also where that asks for any
// number, and to nobody else: it is claimed, and what holds it meanwhile lets go.
//
// What can not be decided passes untouched, with a warning: before the index has
// seen all Services, or when a read or a claim fails, the server allocates and
// the allocation controller adopts its choice. Only where a number is reserved for
// the Service is it asked to try again.
type ServiceAllocation struct {
	Mode   allocator.Mode
	Index  *allocator.Services
	Exempt Exemptions
	// Namespace is where claims are kept: the manager's own.
	Namespace string
	// Releaser lets go of reserved numbers; nil where nothing holds them.
	Releaser Releaser
	// Audit refuses nothing: what would be refused is a warning, and left to the
	// API server.
	Audit bool

	// Client creates claims and access reviews, Reader reads past the cache, Cached
	// knows the metadata of namespaces. All are taken from the manager when nil.
	Client client.Client
	Reader client.Reader
	Cached client.Reader
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Releaser lets go of what holds a reserved number against the API server while
// no Service has it. It is called for the Service that the number is reserved
// for, after the number is claimed. What is not held is released already.
type Releaser interface {
	Release(ctx context.Context, n allocator.Number) error
}

const (
	serviceAllocationPath = "/mutate--v1-service"

	// What is to be taken back may still take so long when a request's time is over.
	takeBackTime = 500 * time.Millisecond
	// Each further attempt means that a holder was gone or a claim was lost.
	allocationAttempts = 16
)

// SetupServiceAllocationWebhook serves the webhook. In mode off it answers, too,
// and passes everything, so that the configuration need not change with the mode.
func SetupServiceAllocationWebhook(mgr ctrl.Manager, a *ServiceAllocation) error {
	if a.Index == nil || a.Namespace == "" {
		return fmt.Errorf("setting up the allocation webhook: it needs an index and a namespace for claims")
	}
	if a.Client == nil {
		a.Client = mgr.GetClient()
	}
	if a.Reader == nil {
		a.Reader = mgr.GetAPIReader()
	}
	if a.Cached == nil {
		a.Cached = mgr.GetClient()
	}
	if a.Now == nil {
		a.Now = time.Now
	}
	a.Client, a.Reader = timedClient{a.Client}, timedReader{a.Reader}
	if a.Releaser != nil {
		a.Releaser = timedReleaser{a.Releaser}
	}
	var handler admission.Handler = a
	if a.Audit {
		handler = auditedHandler{a}
	}
	hook := &webhook.Admission{Handler: timed{handler}}
	mgr.GetWebhookServer().Register(serviceAllocationPath, newFrontDoor(hook, readingTurns(), leaveAlone))
	return nil
}

// allocationRequest is one admission request, read.
type allocationRequest struct {
	admission.Request
	old, new *corev1.Service
	dryRun   bool
	// namespace is the labels of the Service's namespace, nil where no pool asks.
	namespace labels.Set
	// withoutNodePorts says that we set spec.allocateLoadBalancerNodePorts to false.
	withoutNodePorts bool
	// hidden are warnings of what the answer to a dry-run can not show.
	hidden []string
	// poolsConfirmed says that pools and namespace were read past the cache.
	poolsConfirmed bool
	// avoid are numbers that the API server has said it would not give.
	avoid []allocator.Number
	// crowded says that claims in the way have been looked into, in vain.
	crowded bool
	// waited is how long others have been waited for.
	waited time.Duration
}

// Handle answers one admission request.
func (a *ServiceAllocation) Handle(ctx context.Context, raw admission.Request) admission.Response {
	if a.Mode == allocator.Off || raw.SubResource != "" {
		return admission.Allowed("")
	}
	request, err := readAllocationRequest(raw)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if a.Exempt.Write(request.UserInfo.Username, request.new) || request.old != nil && onlyLetsGo(request.old, request.new) {
		return admission.Allowed("")
	}
	if !a.Index.Ready() {
		return a.pass(ctx, errIndexNotReady)
	}
	ctx, cancel := context.WithDeadline(ctx, arrivalOf(ctx).Add(allowedBy(ctx)))
	defer cancel()
	response, err := a.decide(ctx, &request)
	if err == nil {
		return response
	}
	if kept, ok := a.keptFrom(&request, err); ok {
		return a.denyHandOver(ctx, &request, kept)
	}
	return a.pass(ctx, err)
}

var errIndexNotReady = errors.New("the index of Services is still being built")

// pass lets the API server allocate. The reason is for the log: it may name a
// Service that the requester may not read.
func (a *ServiceAllocation) pass(ctx context.Context, reason error) admission.Response {
	countAllocation(outcomeUnjudged)
	ctrl.LoggerFrom(ctx).Error(reason, "Left the numbers of a Service to the API server")
	return admission.Allowed("").WithWarnings("switchyard left the allocation to the API server; the manager's log says why")
}

func readAllocationRequest(raw admission.Request) (allocationRequest, error) {
	request := allocationRequest{Request: raw, new: &corev1.Service{}, dryRun: raw.DryRun != nil && *raw.DryRun}
	if err := readService(raw.Object, request.new, raw.Namespace); err != nil {
		return request, err
	}
	if len(raw.OldObject.Raw) == 0 {
		return request, nil
	}
	request.old = &corev1.Service{}
	return request, readService(raw.OldObject, request.old, raw.Namespace)
}

func readService(raw runtime.RawExtension, into *corev1.Service, namespace string) error {
	if err := runtime.DecodeInto(serviceDecoder, raw.Raw, into); err != nil {
		return fmt.Errorf("reading the Service of an admission request: %w", err)
	}
	into.Namespace = namespace // empty in a create that names it only in the URL
	return nil
}

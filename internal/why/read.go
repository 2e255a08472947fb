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

package why

import (
	"cmp"
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/inventory"
)

// Asker reads a cluster.
type Asker struct {
	Reader client.Reader
	// System is the namespace of Switchyard's own parts.
	System string
	// NodePorts learns the range of NodePorts.
	NodePorts func(context.Context) inventory.NodePorts
	// Page asks the agent of a node; nil if there is no way to.
	Page Page
	// Zone is the domain of the cluster's names, such as cluster.local.
	Zone string
	// Now is the API server's time, which other times are compared with; nil for the
	// clock of this machine.
	Now func() time.Time
	// Local tells that agents are no pods, so that only Page knows of them.
	Local bool
	// Settle is the time between two looks at numbers that seem wrong.
	Settle time.Duration
}

// Answer is a report, and of whom it is.
type Answer struct {
	*diagnosis.Report
	// Client is nil for anybody.
	Client  *diagnosis.Client
	service *corev1.Service
	// given are the details that say where numbers come from.
	given []string
}

// reading is one question under way.
type reading struct {
	Asker
	Question
	facts *diagnosis.Facts
	gaps  gaps
	// given says where numbers come from.
	given []string
}

// Ask reads what bears on the question, and examines it. The error says why the
// Service could not be read, or that there is no such client; whatever else can
// not be read is in the report.
func (a Asker) Ask(ctx context.Context, q Question) (*Answer, error) {
	zone := strings.ToLower(strings.Trim(cmp.Or(a.Zone, diagnosis.DefaultZone), "."))
	r := &reading{Asker: a, Question: q, facts: &diagnosis.Facts{Name: q.Service, Zone: zone, Now: time.Now()}}
	service := &corev1.Service{}
	switch err := a.Reader.Get(ctx, q.Service, service); {
	case err == nil:
		r.facts.Service = service
		if a.Now != nil {
			r.facts.Now = a.Now()
		}
		if err := r.around(ctx); err != nil {
			return nil, err
		}
	case apierrors.IsNotFound(err):
		r.meant(ctx)
	default:
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return r.answer(), nil
}

func (r *reading) answer() *Answer {
	r.facts.Unseen = r.gaps.unseen
	report := diagnosis.Examine(r.facts)
	report.Unseen = r.gaps.lines()
	for i := range report.Steps {
		switch step := &report.Steps[i]; {
		case step.Check == diagnosis.CheckAddresses:
			step.Details = append(step.Details, r.given...)
		case step.Check == diagnosis.CheckDNS && step.State == diagnosis.OK:
			step.Details = r.records()
		}
	}
	return &Answer{Report: report, Client: r.facts.Client, service: r.facts.Service, given: r.given}
}

// around reads what is around the Service. Agents come last, as the nodes that
// matter have to be known first.
func (r *reading) around(ctx context.Context) error {
	group, reading := errgroup.WithContext(ctx)
	for _, read := range []func(context.Context){r.pods, r.slices, r.endpoints, r.nodes, r.numbers, r.targets, r.dnsServer} {
		group.Go(func() error { read(reading); return nil })
	}
	if r.Pod.Name != "" {
		group.Go(func() error { return r.clientPod(reading) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := r.clientAt(ctx); err != nil {
		return err
	}
	if r.Node != "" {
		if err := r.clientNode(); err != nil {
			return err
		}
	}
	group, reading = errgroup.WithContext(ctx)
	for _, read := range []func(context.Context){r.policies, r.agents} {
		group.Go(func() error { read(reading); return nil })
	}
	return group.Wait()
}

func (r *reading) externalName() bool {
	return r.facts.Service.Spec.Type == corev1.ServiceTypeExternalName
}

// maxOthers bounds how many pods are looked at for those that were meant.
const maxOthers = 4 * pageSize

// pods are those that the selector matches, or the namespace's if it matches none.
func (r *reading) pods(ctx context.Context) {
	selector := r.facts.Service.Spec.Selector
	if len(selector) == 0 || r.externalName() {
		return
	}
	const follows = "how the pods are is not known, and EndpointSlices are taken at their word"
	within := client.InNamespace(r.Service.Namespace)
	var err error
	r.facts.Selected, err = collect(ctx, r.Reader, &corev1.PodList{}, podsOf, everything, within, client.MatchingLabels(selector))
	if err == nil && len(r.facts.Selected) == 0 {
		r.facts.Others, err = collect(ctx, r.Reader, &corev1.PodList{}, podsOf, maxOthers, within)
		r.namespace(ctx)
	}
	r.missed(diagnosis.Pods, err, follows)
}

func (r *reading) slices(ctx context.Context) {
	if r.externalName() {
		return
	}
	items := func(list *discoveryv1.EndpointSliceList) []discoveryv1.EndpointSlice { return list.Items }
	var err error
	r.facts.Slices, err = collect(ctx, r.Reader, &discoveryv1.EndpointSliceList{}, items, everything,
		client.InNamespace(r.Service.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: r.Service.Name})
	r.missed(diagnosis.EndpointSlices, err, "which endpoints nodes are told of is not known")
}

func (r *reading) endpoints(ctx context.Context) {
	if r.externalName() {
		return
	}
	endpoints := &corev1.Endpoints{}
	err := r.Reader.Get(ctx, r.Service, endpoints)
	if err == nil {
		r.facts.Endpoints = endpoints
	}
	if !apierrors.IsNotFound(err) {
		r.missed(diagnosis.Endpoints, err, "whether one of the old kind names other endpoints was not checked")
	}
}

func (r *reading) nodes(ctx context.Context) {
	if r.externalName() {
		return
	}
	var err error
	r.facts.Nodes, err = collect(ctx, r.Reader, &corev1.NodeList{}, func(list *corev1.NodeList) []corev1.Node {
		for i := range list.Items {
			list.Items[i].Status.Images = nil // the most of a Node, and nothing of it is needed
		}
		return list.Items
	}, everything)
	r.missed(diagnosis.Nodes, err, "how they are, and whether each is programmed with the Service, was not checked")
}

// targets are the Services that an ExternalName may be the name of.
func (r *reading) targets(ctx context.Context) {
	if !r.externalName() {
		return
	}
	name := strings.TrimSuffix(strings.ToLower(r.facts.Service.Spec.ExternalName), ".")
	inside, ok := strings.CutSuffix(name, ".svc."+r.facts.Zone)
	if !ok {
		return
	}
	parts := strings.Split(inside, ".")
	r.names(ctx, "whether the Service that it stands for exists is not known", client.InNamespace(parts[len(parts)-1]))
}

// meant are Services that may have been meant by one that does not exist. Those of
// other namespaces are not missed by who may not read them.
func (r *reading) meant(ctx context.Context) {
	group := errgroup.Group{}
	group.Go(func() error {
		r.names(ctx, "what else was meant is not known", client.InNamespace(r.Service.Namespace))
		return nil
	})
	var elsewhere []types.NamespacedName
	group.Go(func() error {
		elsewhere, _ = serviceNames(ctx, r.Reader, client.MatchingFields{"metadata.name": r.Service.Name})
		return nil
	})
	group.Go(func() error { r.namespace(ctx); return nil })
	_ = group.Wait() // none returns an error
	r.facts.Services = append(r.facts.Services, elsewhere...)
	r.gaps = gaps{} // it was looked for and is not there: that is known for sure
}

// namespace is whether anything can be made in the Service's. Who may not read it
// has nothing to miss.
func (r *reading) namespace(ctx context.Context) {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := r.Reader.Get(ctx, types.NamespacedName{Name: r.Service.Namespace}, object)
	r.facts.NoNamespace = apierrors.IsNotFound(err)
	r.facts.NamespaceDeleting = err == nil && object.DeletionTimestamp != nil
}

func (r *reading) names(ctx context.Context, follows string, options ...client.ListOption) {
	var err error
	r.facts.Services, err = serviceNames(ctx, r.Reader, options...)
	r.missed(diagnosis.Services, err, follows)
}

// missed notes what could not be read.
func (r *reading) missed(kind diagnosis.Kind, err error, follows string) {
	if err != nil {
		reason := explain(err)
		r.gaps.addKind(kind, gap{string(kind), reason, follows}, reason)
	}
}

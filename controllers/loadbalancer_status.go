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
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/balancer"
)

// writeStatus makes the status of a Service say which addresses it has.
func (r *LoadBalancerReconciler) writeStatus(ctx context.Context, key types.NamespacedName) error {
	r.mu.Lock()
	step, needed := r.desk.ledger.NextStatus(key)
	if needed && step.Look {
		r.mu.Unlock()
		return r.readService(ctx, step)
	}
	wait, before := time.Duration(0), r.desk.services[key]
	if step.Repairs {
		wait = r.desk.disputes.wait(key, r.Now())
	}
	if needed && wait <= 0 && len(step.Unproved) == 0 {
		r.desk.ledger.DoubtService(step) // until it is answered, nobody else gets the address
	}
	r.mu.Unlock()
	switch {
	case !needed:
		return nil
	case wait > 0:
		r.queue.AddAfter(balancerRequest{Service: key}, wait)
		return nil
	}
	for _, addr := range step.Unproved {
		if err := r.proveClaim(ctx, addr); err != nil {
			return err
		}
	}
	if len(step.Unproved) > 0 {
		r.queue.Add(balancerRequest{Service: key})
		return nil
	}
	if before == nil || before.UID != step.UID {
		return nil // it has gone meanwhile
	}
	wrote, err := r.makeStatus(ctx, step, before)
	loadBalancerWrites.WithLabelValues("status", resultOf(err)).Inc()
	switch resultOf(err) {
	case "written":
		r.wroteStatus(step, before, wrote)
		if step.Touch && wrote.ResourceVersion == step.Version {
			return fmt.Errorf("writing the status of Service %s: nothing has changed by it", key)
		}
		return nil
	case "conflict":
		return r.readService(ctx, step)
	}
	return err
}

// proveClaim reads a claim that another manager may have changed since it was read.
func (r *LoadBalancerReconciler) proveClaim(ctx context.Context, addr netip.Addr) error {
	r.mu.Lock()
	step := r.desk.ledger.ProveClaim(addr)
	r.mu.Unlock()
	return r.readClaim(ctx, step)
}

// makeStatus makes a step, of the version of the Service for which it was meant.
func (r *LoadBalancerReconciler) makeStatus(ctx context.Context, step balancer.StatusStep, before *corev1.Service) (*corev1.Service, error) {
	version := step.Version
	if len(step.Addrs) == 0 && len(before.Status.LoadBalancer.Ingress) > 0 && wasAssigned(step, before) {
		cleared, err := r.clearAddresses(ctx, step)
		if err != nil {
			return nil, err
		}
		version = cleared.ResourceVersion
	}
	status := corev1ac.ServiceStatus()
	if len(step.Addrs) > 0 {
		lb := corev1ac.LoadBalancerStatus()
		for _, addr := range step.Addrs {
			lb.WithIngress(corev1ac.LoadBalancerIngress().WithIP(addr.String()).WithIPMode(corev1.LoadBalancerIPModeVIP))
		}
		status.WithLoadBalancer(lb)
	}
	if c := step.Condition; c != nil {
		status.WithConditions(metav1ac.Condition().WithType(c.Type).WithStatus(c.Status).WithReason(c.Reason).WithMessage(c.Message).
			WithObservedGeneration(c.ObservedGeneration).WithLastTransitionTime(r.since(step, before)))
	}
	wanted := corev1ac.Service(step.Key.Name, step.Key.Namespace).WithUID(step.UID).WithResourceVersion(version).WithStatus(status)
	if err := r.Client.Status().Apply(ctx, wanted, client.FieldOwner(loadBalancerFieldManager), client.ForceOwnership); err != nil {
		return nil, fmt.Errorf("writing the status of Service %s: %w", step.Key, err)
	}
	return withStatus(before, wanted), nil
}

// wasAssigned reports whether a Service that is still ours has had the addresses of
// its status from us, whoever wrote them first.
func wasAssigned(step balancer.StatusStep, before *corev1.Service) bool {
	return step.Condition != nil && meta.IsStatusConditionTrue(before.Status.Conditions, v1alpha1.LoadBalancerAddressAssigned)
}

// clearAddresses takes all addresses out of a status. The controller before us may
// have written them as well, and then they stay when we let go of them. The condition
// says whose they were, so it is written after that.
func (r *LoadBalancerReconciler) clearAddresses(ctx context.Context, step balancer.StatusStep) (*corev1.Service, error) {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: step.Key.Namespace, Name: step.Key.Name}}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": step.UID, "resourceVersion": step.Version},
		"status":   map[string]any{"loadBalancer": nil},
	})
	if err == nil {
		err = r.Client.Status().Patch(ctx, service, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(loadBalancerFieldManager))
	}
	if err != nil {
		return nil, fmt.Errorf("clearing the status of Service %s: %w", step.Key, err)
	}
	return service, nil
}

// since is when the condition came to be what it is. If something has to change, it
// is another second than before.
func (r *LoadBalancerReconciler) since(step balancer.StatusStep, before *corev1.Service) metav1.Time {
	at := metav1.NewTime(r.Now())
	was := meta.FindStatusCondition(before.Status.Conditions, step.Condition.Type)
	switch {
	case was != nil && step.Touch && was.LastTransitionTime.Unix() == at.Unix():
		return metav1.NewTime(at.Add(time.Second))
	case was != nil && was.Status == step.Condition.Status && !step.Touch:
		return was.LastTransitionTime
	}
	return at
}

// withStatus is the Service with what the API server has made of a write, which
// others have their part in.
func withStatus(before *corev1.Service, wrote *corev1ac.ServiceApplyConfiguration) *corev1.Service {
	after := before.DeepCopy()
	after.Status = corev1.ServiceStatus{}
	if wrote.ResourceVersion != nil {
		after.ResourceVersion = *wrote.ResourceVersion
	}
	if wrote.Status == nil {
		return after
	}
	if lb := wrote.Status.LoadBalancer; lb != nil {
		for i := range lb.Ingress {
			ingress := corev1.LoadBalancerIngress{IPMode: lb.Ingress[i].IPMode}
			if lb.Ingress[i].IP != nil {
				ingress.IP = *lb.Ingress[i].IP
			}
			after.Status.LoadBalancer.Ingress = append(after.Status.LoadBalancer.Ingress, ingress)
		}
	}
	for i := range wrote.Status.Conditions {
		after.Status.Conditions = append(after.Status.Conditions, conditionFrom(&wrote.Status.Conditions[i]))
	}
	return after
}

func conditionFrom(c *metav1ac.ConditionApplyConfiguration) metav1.Condition {
	var condition metav1.Condition
	for _, field := range []struct{ from, to *string }{{c.Type, &condition.Type}, {c.Reason, &condition.Reason}, {c.Message, &condition.Message}} {
		if field.from != nil {
			*field.to = *field.from
		}
	}
	if c.Status != nil {
		condition.Status = *c.Status
	}
	if c.ObservedGeneration != nil {
		condition.ObservedGeneration = *c.ObservedGeneration
	}
	if c.LastTransitionTime != nil {
		condition.LastTransitionTime = *c.LastTransitionTime
	}
	return condition
}

// wroteStatus takes in what was written, and tells the user.
func (r *LoadBalancerReconciler) wroteStatus(step balancer.StatusStep, before, after *corev1.Service) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, is := balancer.SightOf(before, r.Options.Class), balancer.SightOf(after, r.Options.Class)
	r.desk.ledger.WroteService(step, is)
	if now := r.desk.services[step.Key]; now != nil && now.UID == after.UID {
		if r.desk.services[step.Key] = after; !is.Served && is.Condition == nil {
			delete(r.desk.services, step.Key)
		}
	}
	r.enqueue(r.desk.settle())
	r.queue.Add(balancerRequest{Service: step.Key})
	gained := slices.ContainsFunc(is.Addrs, func(addr netip.Addr) bool { return !slices.Contains(was.Addrs, addr) })
	for _, e := range loadBalancerEvents(was, is, r.desk.told(step.Key, is.Addrs), gained) {
		r.Recorder.Eventf(serviceAsOf(step.Key, step.UID, after.ResourceVersion), nil, e.kind, e.reason, "AssignAddress", "%s", e.note)
	}
}

// readService takes in what the API server has of a Service whose write met a newer
// version, or none, or that has to be looked at.
func (r *LoadBalancerReconciler) readService(ctx context.Context, step balancer.StatusStep) error {
	var service corev1.Service
	err := r.Live.Get(ctx, step.Key, &service)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading Service %s: %w", step.Key, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		service.Namespace, service.Name, service.UID = step.Key.Namespace, step.Key.Name, step.UID
		r.enqueue(r.desk.forgetService(&service))
		return nil
	}
	r.desk.ledger.Read(step.Key, step.Version)
	r.enqueue(r.observeService(&service))
	if step.Look {
		r.desk.ledger.LookedAt(step)
		r.enqueue(r.desk.settle())
	}
	return nil
}

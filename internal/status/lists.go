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

package status

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pageSize is how many objects one answer of the API server has.
const pageSize = 500

// leaderLease is the LeaderElectionID of the manager.
const leaderLease = "manager.switchyard.dev"

func each[L client.ObjectList](ctx context.Context, reader client.Reader, list L, keep func(L), options ...client.ListOption) error {
	for next := ""; ; {
		page, _ := list.DeepCopyObject().(L) // a copy is of the same type
		if err := reader.List(ctx, page, append(options, client.Limit(pageSize), client.Continue(next))...); err != nil {
			return err
		}
		keep(page)
		if next = page.GetContinue(); next == "" {
			return nil
		}
	}
}

func (r *reading) nodes(ctx context.Context) error {
	err := each(ctx, r.Reader, &corev1.NodeList{}, func(l *corev1.NodeList) {
		for i := range l.Items {
			r.facts.Nodes = append(r.facts.Nodes, nodeOf(&l.Items[i]))
		}
	})
	if err != nil {
		r.unseen("Nodes", err, "ask for a role that can list Nodes")
		r.unknown(ListNodes)
	}
	return ctx.Err()
}

func nodeOf(object *corev1.Node) Node {
	n := Node{Name: object.Name, Kernel: object.Status.NodeInfo.KernelVersion, Created: object.CreationTimestamp.Time}
	system := object.Labels[corev1.LabelOSStable]
	n.Ordinary = (system == "" || system == "linux") && object.Labels["type"] != "virtual-kubelet" &&
		object.Labels["eks.amazonaws.com/compute-type"] != "fargate"
	for _, c := range object.Status.Conditions {
		if c.Type == corev1.NodeReady {
			n.Ready = c.Status == corev1.ConditionTrue
		}
	}
	return n
}

// Labels of our pods, as config/ has them.
const (
	nameLabel      = "app.kubernetes.io/name"
	componentLabel = "app.kubernetes.io/component"
	planeLabel     = "control-plane"
	nodeComponent  = "node"
)

func (r *reading) pods(ctx context.Context) error {
	return each(ctx, r.Reader, &corev1.PodList{}, func(l *corev1.PodList) {
		for i := range l.Items {
			pod := &l.Items[i]
			switch {
			case ended(pod):
			case pod.Labels[planeLabel] == "controller-manager":
				r.facts.Managers = append(r.facts.Managers, instanceOf(pod))
			case pod.Labels[componentLabel] == nodeComponent:
				agent := instanceOf(pod)
				agent.Ports = r.portsOf(ctx, pod)
				r.facts.Agents = append(r.facts.Agents, agent)
			}
		}
	}, client.InNamespace(r.System), client.MatchingLabels{nameLabel: "switchyard"})
}

// dns finds the pods that answer for kube-dns, whose ever they are.
func (r *reading) dns(ctx context.Context) error {
	return each(ctx, r.Reader, &corev1.PodList{}, func(l *corev1.PodList) {
		for i := range l.Items {
			if pod := &l.Items[i]; !ended(pod) {
				r.facts.DNS = append(r.facts.DNS, instanceOf(pod))
			}
		}
	}, client.InNamespace(metav1.NamespaceSystem), client.MatchingLabels{"k8s-app": dnsName})
}

// dnsService finds its Service, and endpoints of it that are ready.
func (r *reading) dnsService(ctx context.Context) error {
	var service corev1.Service
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: dnsName}, &service)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	r.facts.DNSService.Found = true
	return each(ctx, r.Reader, &discoveryv1.EndpointSliceList{}, func(l *discoveryv1.EndpointSliceList) {
		for i := range l.Items {
			for _, e := range l.Items[i].Endpoints {
				if e.Conditions.Ready == nil || *e.Conditions.Ready {
					r.facts.DNSService.Ready += len(e.Addresses)
				}
			}
		}
	}, client.InNamespace(metav1.NamespaceSystem), client.MatchingLabels{discoveryv1.LabelServiceName: dnsName})
}

// dnsName is that of the Service of DNS, and the label of its pods.
const dnsName = "kube-dns"

func ended(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// instanceOf takes of a pod what its first container says.
func instanceOf(pod *corev1.Pod) Instance {
	i := Instance{
		Name: pod.Name, Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name},
		Node: pod.Spec.NodeName, Created: pod.CreationTimestamp.Time,
		Logs: fmt.Sprintf("kubectl -n %s logs %s", pod.Namespace, pod.Name),
	}
	if len(pod.Spec.Containers) > 0 {
		i.Version = versionOf(pod.Spec.Containers[0].Image)
	}
	i.Why = "it is not ready"
	for _, c := range pod.Status.Conditions {
		switch {
		case c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue:
			i.Ready, i.Why = true, ""
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse:
			i.Why = "it is not scheduled: " + c.Message
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		i.Restarts += int(s.RestartCount)
		if last := s.LastTerminationState.Terminated; last != nil {
			i.LastExit = fmt.Sprintf("%s, code %d", cmp.Or(last.Reason, "ended"), last.ExitCode)
			i.Restarted = last.FinishedAt.Time
		}
		if waiting := s.State.Waiting; waiting != nil && waiting.Reason != "" && !i.Ready {
			i.Why = "it waits: " + waiting.Reason
		}
	}
	return i
}

// versionOf is the tag of an image, or the beginning of its digest.
func versionOf(image string) string {
	name, digest, _ := strings.Cut(image, "@")
	if at := strings.LastIndexByte(name, ':'); at > strings.LastIndexByte(name, '/') {
		return name[at+1:]
	}
	if len(digest) > 19 {
		digest = digest[:19]
	}
	return digest
}

// processes are those of the local cluster, where no pods run the same.
func (r *reading) processes() {
	if r.Local == nil {
		return
	}
	for _, p := range r.Local.Processes {
		i := Instance{
			Name: p.Name, Node: p.Node, Ready: p.PID != 0, Restarts: p.Restarts, LastExit: p.LastExit,
			Logs: "switchyard logs " + p.Name,
		}
		if !i.Ready {
			i.Why = "it does not run"
		}
		if p.Restarts > 0 {
			i.Restarted = p.Since
		}
		switch name, _, _ := strings.Cut(p.Name, "@"); {
		case name == "switchyard-manager" && len(r.facts.Managers) == 0:
			r.facts.Managers = append(r.facts.Managers, i)
		case name == "switchyard-node" && !slices.ContainsFunc(r.facts.Agents, func(a Instance) bool { return a.Node == p.Node }):
			r.facts.Agents = append(r.facts.Agents, i)
		}
	}
}

func (r *reading) leader(ctx context.Context) error {
	var lease coordinationv1.Lease
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: r.System, Name: leaderLease}, &lease)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		r.unseen("the Lease of the leading manager", err, "")
		r.unknown(ListLeader)
		return ctx.Err()
	}
	if lease.Spec.HolderIdentity != nil {
		// The holder is the pod's name, and something random behind it.
		r.facts.Leader.Name, _, _ = strings.Cut(*lease.Spec.HolderIdentity, "_")
	}
	if lease.Spec.RenewTime != nil {
		r.facts.Leader.Renewed = lease.Spec.RenewTime.Time
	}
	if lease.Spec.LeaseDurationSeconds != nil {
		r.facts.Leader.Lasts = time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second
	}
	return nil
}

// webhooks finds those that lead to our namespace, and what the API server counts.
func (r *reading) webhooks(ctx context.Context) error {
	add := func(configuration, name string, mutating bool, c admissionv1.WebhookClientConfig, policy *admissionv1.FailurePolicyType) {
		if c.Service == nil || c.Service.Namespace != r.System {
			if c.Service != nil && strings.HasSuffix(name, ".switchyard.dev") {
				r.facts.Elsewhere = append(r.facts.Elsewhere, c.Service.Namespace+"/"+c.Service.Name)
			}
			return
		}
		w := Webhook{Configuration: configuration, Name: name, Mutating: mutating, Policy: admissionv1.Fail}
		if policy != nil {
			w.Policy = *policy
		}
		w.CAEnds = bundleEnds(c.CABundle)
		r.facts.Webhooks = append(r.facts.Webhooks, w)
	}
	err := each(ctx, r.Reader, &admissionv1.MutatingWebhookConfigurationList{}, func(l *admissionv1.MutatingWebhookConfigurationList) {
		for _, c := range l.Items {
			for _, w := range c.Webhooks {
				add(c.Name, w.Name, true, w.ClientConfig, w.FailurePolicy)
			}
		}
	})
	if err == nil {
		err = each(ctx, r.Reader, &admissionv1.ValidatingWebhookConfigurationList{}, func(l *admissionv1.ValidatingWebhookConfigurationList) {
			for _, c := range l.Items {
				for _, w := range c.Webhooks {
					add(c.Name, w.Name, false, w.ClientConfig, w.FailurePolicy)
				}
			}
		})
	}
	if err != nil {
		r.unseen("webhook configurations", err, "ask for a role that can list them")
		r.unknown(ListWebhooks)
		return ctx.Err()
	}
	if len(r.facts.Webhooks) > 0 {
		r.counts(ctx)
	}
	return ctx.Err()
}

// counts reads the API server's own metrics, which are those of the one that answers.
func (r *reading) counts(ctx context.Context) {
	clients, err := kubernetes.NewForConfig(r.Config)
	if err != nil {
		return
	}
	page, err := clients.RESTClient().Get().AbsPath("/metrics").Stream(ctx)
	if err != nil {
		r.unseen("how many requests the API server let pass unjudged", err, "its /metrics can be read by who has the role system:monitoring")
		return
	}
	defer func() { _ = page.Close() }()
	counts, err := webhookCounts(page)
	if err != nil {
		r.unseen("how many requests the API server let pass unjudged", err, "")
		return
	}
	for i := range r.facts.Webhooks {
		step := "validating/"
		if r.facts.Webhooks[i].Mutating {
			step = "admit/"
		}
		of := counts[step+r.facts.Webhooks[i].Name]
		r.facts.Webhooks[i].Counts = &of
	}
}

// bundleEnds is when the last authority of a bundle ends: while they change there
// are two.
func bundleEnds(bundle []byte) (ends time.Time) {
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && c.NotAfter.After(ends) {
			ends = c.NotAfter
		}
	}
	return ends
}

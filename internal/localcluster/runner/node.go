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

package runner

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/internal/version"
)

const (
	kubeletPort = 10250
	// A kubelet's: the lease is renewed every quarter of its 40 s, the status
	// written every five minutes or when it changes.
	leaseDuration  = 40
	leaseInterval  = 10 * time.Second
	statusInterval = 5 * time.Minute
	leaseNamespace = "kube-node-lease"
)

// keepNode registers the node and keeps it ready until ctx ends.
func (r *Runner) keepNode(ctx context.Context) error {
	if err := r.retry(ctx, "register the node", func() error { return r.register(ctx) }); err != nil {
		return nil //nolint:nilerr // ctx ended
	}
	r.log.Info("Node registered")
	var nextStatus time.Time
	for {
		if err := r.renewLease(ctx); err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
			r.log.Error(err, "Could not renew the node's lease, will try again")
		}
		if time.Now().After(nextStatus) {
			if err := r.retry(ctx, "report the node's status", func() error { return r.reportNode(ctx) }); err != nil {
				return nil //nolint:nilerr // ctx ended
			}
			nextStatus = time.Now().Add(statusInterval)
		}
		if !sleep(ctx, leaseInterval) {
			return nil
		}
	}
}

// register creates the Node, or brings labels and pod CIDRs of the existing
// one up to date.
func (r *Runner) register(ctx context.Context) error {
	nodes := r.client.CoreV1().Nodes()
	desired := desiredNode(r.config)
	desired.Status = nodeStatus(r.config, corev1.NodeStatus{}, time.Now())
	_, err := nodes.Create(ctx, desired, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	node, err := nodes.Get(ctx, r.config.NodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	changed := node.DeepCopy()
	if changed.Labels == nil {
		changed.Labels = map[string]string{}
	}
	maps.Copy(changed.Labels, desired.Labels)
	if changed.Spec.PodCIDR == "" {
		changed.Spec.PodCIDR, changed.Spec.PodCIDRs = desired.Spec.PodCIDR, desired.Spec.PodCIDRs
	}
	if equality.Semantic.DeepEqual(node, changed) {
		return nil
	}
	_, err = nodes.Update(ctx, changed, metav1.UpdateOptions{})
	return err
}

// reportNode writes the Node's status.
func (r *Runner) reportNode(ctx context.Context) error {
	nodes := r.client.CoreV1().Nodes()
	node, err := nodes.Get(ctx, r.config.NodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) { // someone deleted it: a kubelet registers again, too
		return r.register(ctx)
	}
	if err != nil {
		return err
	}
	node.Status = nodeStatus(r.config, node.Status, time.Now())
	_, err = nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{})
	return err
}

func (r *Runner) renewLease(ctx context.Context) error {
	leases := r.client.CoordinationV1().Leases(leaseNamespace)
	seconds, now := int32(leaseDuration), metav1.NewMicroTime(time.Now())
	lease, err := leases.Get(ctx, r.config.NodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		node, err := r.client.CoreV1().Nodes().Get(ctx, r.config.NodeName, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return r.register(ctx)
		}
		if err != nil {
			return err
		}
		lease = &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{
				Name: r.config.NodeName,
				OwnerReferences: []metav1.OwnerReference{{
					APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID,
				}},
			},
			Spec: coordinationv1.LeaseSpec{HolderIdentity: &r.config.NodeName, LeaseDurationSeconds: &seconds, RenewTime: &now},
		}
		_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &r.config.NodeName, &seconds, &now
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}

// desiredNode is the Node without its status.
func desiredNode(config Config) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: config.NodeName, Labels: map[string]string{
		corev1.LabelHostname:   config.NodeName,
		corev1.LabelOSStable:   runtime.GOOS,
		corev1.LabelArchStable: runtime.GOARCH,
	}}}
	maps.Copy(node.Labels, config.Labels)
	for i, prefix := range config.PodCIDRs {
		if i == 0 {
			node.Spec.PodCIDR = prefix.Masked().String()
		}
		node.Spec.PodCIDRs = append(node.Spec.PodCIDRs, prefix.Masked().String())
	}
	return node
}

// nodeStatus is the Node's status, transition times and others' conditions
// kept. Capacity is notional, as most containers are echo servers: the machine
// may be small, the manifests are not.
func nodeStatus(config Config, old corev1.NodeStatus, now time.Time) corev1.NodeStatus {
	status := *old.DeepCopy()
	status.Addresses = nodeAddresses(config.NodeName, config.NodeIPs)
	status.Capacity = corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("64"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             *resource.NewQuantity(int64(maxPods(config.PodCIDRs)), resource.DecimalSI),
	}
	status.Allocatable = status.Capacity.DeepCopy()
	status.DaemonEndpoints.KubeletEndpoint.Port = kubeletPort
	status.NodeInfo = nodeInfo(config.NodeName)
	status.Images = nil
	for _, i := range config.Images {
		status.Images = append(status.Images, corev1.ContainerImage{Names: i.Names})
	}
	for _, condition := range []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory", Message: "the node runner does not limit memory"},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure", Message: "the node runner does not limit disk space"},
		{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID", Message: "the node runner does not limit processes"},
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "the node runner is ready"},
	} {
		setNodeCondition(&status.Conditions, condition, now)
	}
	return status
}

// maxPods leaves room in the smallest prefix for addresses at rest.
func maxPods(prefixes []netip.Prefix) int {
	usable := int(newAddresses(prefixes).size()) - firstIndex
	return min(usable, 250)
}

func nodeAddresses(name string, ips []netip.Addr) []corev1.NodeAddress {
	var addresses []corev1.NodeAddress
	for _, ip := range ips {
		addresses = append(addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip.String()})
	}
	return append(addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: name})
}

func setNodeCondition(conditions *[]corev1.NodeCondition, condition corev1.NodeCondition, now time.Time) {
	condition.LastHeartbeatTime, condition.LastTransitionTime = metav1.NewTime(now), metav1.NewTime(now)
	for i, old := range *conditions {
		if old.Type == condition.Type {
			if old.Status == condition.Status {
				condition.LastTransitionTime = old.LastTransitionTime
			}
			(*conditions)[i] = condition
			return
		}
	}
	*conditions = append(*conditions, condition)
}

func nodeInfo(name string) corev1.NodeSystemInfo {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return corev1.NodeSystemInfo{
		MachineID: name, SystemUUID: name, BootID: name,
		KernelVersion:           strings.TrimSpace(string(kernel)),
		OSImage:                 "Switchyard node runner",
		ContainerRuntimeVersion: "switchyard://" + version.String(),
		KubeletVersion:          "v1.37.1+switchyard",
		OperatingSystem:         runtime.GOOS,
		Architecture:            runtime.GOARCH,
	}
}

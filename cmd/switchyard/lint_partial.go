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

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/inventory"
)

// ruleLists are the kinds that the rules need all objects of.
func ruleLists() map[inventory.Kind]client.ObjectList {
	return map[inventory.Kind]client.ObjectList{
		inventory.Services: &corev1.ServiceList{}, inventory.Pods: &corev1.PodList{}, "Nodes": &corev1.NodeList{},
		inventory.ServiceCIDRs: &networkingv1.ServiceCIDRList{},
		inventory.PortPools:    &v1alpha1.PortPoolList{}, inventory.AddressPools: &v1alpha1.AddressPoolList{},
	}
}

// withoutRules judges for who may not read what the rules need, such as a user
// with rights in one namespace alone.
func withoutRules(ctx context.Context, config *rest.Config) (*clusterJudge, error) {
	scheme, err := lintScheme()
	if err != nil {
		return nil, err
	}
	live, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	judge := judgeBy(live, live)
	judge.ruleless = true
	for kind, list := range ruleLists() {
		if err := live.List(ctx, list, client.Limit(1)); apierrors.IsForbidden(err) {
			judge.leaveOut(kind, fmt.Sprintf("you may not list %s of all namespaces, so the rules X1 and on were not asked", kind))
		}
	}
	return judge, nil
}

func (j *clusterJudge) leaveOut(kind inventory.Kind, message string) {
	unread := inventory.Unread{Kind: kind, Reason: inventory.Forbidden, Message: message}
	if slices.Contains(j.unread, unread) {
		return
	}
	j.unread = append(j.unread, unread)
	slices.SortFunc(j.unread, func(a, b inventory.Unread) int { return cmp.Compare(a.Kind, b.Kind) })
}

// leaveOutRule is for one that asked for what the user may not read.
func (j *clusterJudge) leaveOutRule(forbidden error) {
	kind := inventory.Kind("objects")
	if status := apierrors.APIStatus(nil); errors.As(forbidden, &status) && status.Status().Details != nil {
		kind = inventory.Kind(status.Status().Details.Kind)
	}
	j.leaveOut(kind, fmt.Sprintf("you may not read %s, so not all rules (X1 and on) were asked", kind))
}

// numbersFor are those of all Services, or of the namespace where one may not read
// others.
func (j *clusterJudge) numbersFor(ctx context.Context, namespace string) (*allocator.Services, error) {
	numbers, err := j.numbers()
	if !j.ruleless || !apierrors.IsForbidden(err) {
		return numbers, err
	}
	numbers, err = numbersIn(ctx, j.live, client.InNamespace(namespace))
	if apierrors.IsForbidden(err) {
		return allocator.NewServices(allocator.DefaultNodePorts), nil
	}
	return numbers, err
}

// partial is why nothing found does not mean that nothing is wrong.
func partial(unread []inventory.Unread) error {
	return fmt.Errorf("%s: ask for a role with the rights that docs/lint.md lists", strings.Join(inventory.Notes(unread), "; "))
}

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

package announce

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/balancer"
	"switchyard.dev/switchyard/internal/localcluster/manifests"
)

// account is the agents' ServiceAccount; what is theirs in the install manifests has
// names that begin like it.
const account = "switchyard-node"

// installRights gives the agents the account, the roles and the policy that they have
// in a cluster, and no other rights.
func installRights(ctx context.Context, config *rest.Config) error {
	api, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	installed := map[string]bool{}
	for document := range strings.SplitSeq(manifests.Install, "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			return err
		}
		if object.GetKind() != "Namespace" && !strings.HasPrefix(object.GetName(), account) {
			continue
		}
		installed[object.GetKind()] = true
		if err := api.Create(ctx, object); err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	for _, kind := range []string{"Namespace", "ServiceAccount", "Role", "RoleBinding", "ValidatingAdmissionPolicyBinding"} {
		if !installed[kind] {
			return fmt.Errorf("the install manifests have no %s of the agents", kind)
		}
	}
	return nil
}

// token is one of the account, of a node or, without name, of none.
func (b *bed) token(nodeName string) string {
	b.Helper()
	request := &authenticationv1.TokenRequest{}
	if nodeName != "" {
		object := must(b.client.CoreV1().Nodes().Get(b.Context(), nodeName, metav1.GetOptions{}))(b.T)
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Node", Name: nodeName, UID: object.UID}
	}
	answer := must(b.client.CoreV1().ServiceAccounts(system).CreateToken(b.Context(), account, request, metav1.CreateOptions{}))(b.T)
	return answer.Status.Token
}

// as is a client with such a token.
func (b *bed) as(nodeName string) kubernetes.Interface {
	b.Helper()
	config := rest.AnonymousClientConfig(b.config)
	config.BearerToken, config.QPS = b.token(nodeName), -1
	return must(kubernetes.NewForConfig(config))(b.T)
}

// What a token is worth that somebody has taken from a node. That it suffices for
// what agents do is what all other tests show.
func TestATokenOfANodeIsWorthThatNode(t *testing.T) {
	b := newBed(t)
	b.newService(corev1.ServiceExternalTrafficPolicyCluster, b.nodes...)
	b.answered()
	for _, n := range b.nodes { // whose agents would write, too
		n.agent.End(syscall.SIGKILL)
	}
	leases := b.client.CoordinationV1().Leases(system)
	lb := balancer.LeaseOf(system, balancer.Claim{Addr: vips[0]}).Name
	leader := must(leases.Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "manager.switchyard.dev"}}, metav1.CreateOptions{}))(t)
	t.Cleanup(func() { _ = leases.Delete(b.late(), leader.Name, metav1.DeleteOptions{}) })
	must(leases.Patch(t.Context(), lb, types.MergePatchType, []byte(`{"spec":{"holderIdentity":"node-2","leaseTransitions":7}}`), metav1.PatchOptions{}))(t)

	spec := func(holder any) map[string]any {
		return map[string]any{"spec": map[string]any{"holderIdentity": holder}}
	}
	meta := func(what string, value any) map[string]any {
		m := spec("node-1")
		m["metadata"] = map[string]any{what: value}
		return m
	}
	term := func(n int) map[string]any {
		m := spec("node-1")
		maps.Copy(m["spec"].(map[string]any), map[string]any{"leaseTransitions": n})
		return m
	}
	for name, c := range map[string]struct {
		as, lease string
		patch     map[string]any
		refused   string
	}{
		"speaks for its node":                  {"node-1", "speaker-node-1", spec("node-1"), ""},
		"says that its node is gone":           {"node-1", "speaker-node-1", spec(nil), ""},
		"takes an address":                     {"node-1", lb, spec("node-1"), ""},
		"counts the change":                    {"node-1", lb, term(8), ""},
		"gives away what it has":               {"node-2", lb, spec("node-3"), ""},
		"leaves what it has":                   {"node-2", lb, spec(nil), ""},
		"speaks for another node":              {"node-1", "speaker-node-2", spec("node-2"), "no other Lease"},
		"has another speak for its node":       {"node-1", "speaker-node-1", spec("node-2"), "for its own node only"},
		"gives away what it has not":           {"node-1", lb, spec("node-3"), "gives away what its node has"},
		"leaves what it has not":               {"node-1", lb, spec(nil), "gives away what its node has"},
		"counts down":                          {"node-1", lb, term(6), "never down"},
		"gives the address to a Service":       {"node-1", lb, meta("annotations", map[string]string{balancer.ServicesAnnotation: "a/b c"}), "manager's to say"},
		"hides the address":                    {"node-1", lb, meta("labels", map[string]any{balancer.AddressLabel: nil}), "manager's to say"},
		"keeps the address from being deleted": {"node-1", lb, meta("finalizers", []string{"example.com/never"}), "manager's to say"},
		"has the address deleted":              {"node-1", lb, meta("ownerReferences", []any{map[string]string{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}}), "manager's to say"},
		"stops the manager":                    {"node-1", leader.Name, spec("node-1"), "no other Lease"},
		"of no node takes an address":          {"", lb, spec("node-1"), "of no node"},
	} {
		t.Run(name, func(t *testing.T) {
			patch := must(json.Marshal(c.patch))(t)
			_, err := b.as(c.as).CoordinationV1().Leases(system).Patch(t.Context(), c.lease, types.MergePatchType, patch,
				metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
			expect(t, err, c.refused)
		})
	}
	for name, c := range map[string]struct {
		lease   coordinationv1.Lease
		refused string
	}{
		"its own":             {coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "router-node-1", Labels: map[string]string{"switchyard.dev/announcer": "routes"}}}, ""},
		"another's":           {coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "router-node-2"}}, "no other Lease"},
		"an address":          {*balancer.LeaseOf(system, balancer.Claim{Addr: netip.MustParseAddr("192.168.70.201")}), "no other Lease"},
		"one with any name":   {coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{GenerateName: "lb-"}}, "no other Lease"},
		"with others' labels": {coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "router-node-1", Labels: map[string]string{balancer.AddressLabel: ""}}}, "no other"},
	} {
		t.Run("makes "+name, func(t *testing.T) {
			_, err := b.as("node-1").CoordinationV1().Leases(system).Create(t.Context(), &c.lease, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			expect(t, err, c.refused)
		})
	}
	if err := b.as("node-1").CoordinationV1().Leases(system).Delete(t.Context(), lb, metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("to delete an address is answered with %v", err)
	}
}

func expect(t *testing.T, err error, refused string) {
	t.Helper()
	switch {
	case refused == "" && err != nil:
		t.Errorf("it is refused: %v", err)
	case refused != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), refused)):
		t.Errorf("it is answered with %v, want a refusal with %q", err, refused)
	}
}

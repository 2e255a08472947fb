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
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/action"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A release from its beginning to its end, on a real API server: what the objects
// are and that they are admitted is its word.
func TestReleaseLives(t *testing.T) {
	c := theCluster(t)

	made, err := c.install(t, "{mode: node, apiServer: {host: api.example.com}}")
	if err != nil {
		t.Fatal(err)
	}
	first := decode(t, made.Manifest)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(first)), c.there(t, first)); diff != "" {
		t.Errorf("not all is there (-chart +cluster):\n%s", diff)
	}
	if !c.hasAgents(t) || slices.Contains(c.arguments(t), any("--endpoints=all")) {
		t.Errorf("it is not installed in mode node")
	}
	if got := c.revisions(t); !slices.Equal(got, []string{"switchyard.v1"}) {
		t.Errorf("Helm has the revisions %v", got)
	}
	if err := c.webhooks(t, func(config map[string]any) error { config["caBundle"] = bundle; return nil }); err != nil {
		t.Fatal(err)
	}
	pool := &unstructured.Unstructured{Object: named("switchyard.dev/v1alpha1", "PortPool", "", "shops")}
	pool.Object["spec"] = map[string]any{"ranges": []any{"31000-31099"}}
	if err := c.Create(t.Context(), pool); err != nil {
		t.Fatal(err)
	}

	c.upgrade(t, "{mode: full, node: {announce: l2}, networkPolicy: {enabled: true}, dns: {enabled: true}, manager: {replicas: 3}}")
	if !slices.Contains(c.arguments(t), any("--endpoints=all")) {
		t.Errorf("after the upgrade to mode full the manager has the arguments %v", c.arguments(t))
	}
	more := map[string]map[string]any{
		"policy": named("networking.k8s.io/v1", "NetworkPolicy", namespace, "switchyard-allow-webhook-traffic"),
		"dns":    named("v1", "Service", "kube-system", "kube-dns"),
	}
	if got := c.there(t, more); len(got) != len(more) {
		t.Errorf("of what the upgrade adds there are only %v", got)
	}
	c.keepsBundles(t)

	c.goesBackToStock(t, more)

	c.rollback(t, 1)
	if !c.hasAgents(t) || slices.Contains(c.arguments(t), any("--loadbalancers=off")) {
		t.Error("the rollback does not go back to mode node")
	}
	c.keepsBundles(t)
	if got := c.revisions(t); len(got) != 4 {
		t.Errorf("Helm has the revisions %v", got)
	}

	c.leavesOnlyCRDs(t, first)
	if _, err := c.get(t, pool.Object); err != nil {
		t.Errorf("a pool is to outlive the release: %v", err)
	}
	if got := c.revisions(t); len(got) != 0 {
		t.Errorf("Helm still has the revisions %v", got)
	}

	if _, err := c.install(t, "crds: {keep: false}"); err != nil {
		t.Fatalf("installing again, where the CRDs are: %v", err)
	}
	c.uninstall(t)
	if got := c.there(t, first); len(got) != 0 {
		t.Errorf("%v are left", got)
	}
}

// goesBackToStock takes the agents away only where that is said twice, and with them
// what other modes add.
func (c cluster) goesBackToStock(t *testing.T, more map[string]map[string]any) {
	t.Helper()
	if err := c.tryUpgrade(t, "manager: {replicas: 3}"); err == nil || !strings.Contains(err.Error(), "give --set mode=node or mode=full") || !c.hasAgents(t) {
		t.Errorf("who forgets the mode loses the agents, or is told only %v", err)
	}
	if err := c.Delete(t.Context(), &unstructured.Unstructured{Object: named("apps/v1", "DaemonSet", namespace, "switchyard-node")}); err != nil {
		t.Fatal(err)
	}
	c.upgrade(t, "mode: stock")
	if c.hasAgents(t) {
		t.Error("mode stock has agents")
	}
	if got := c.there(t, more); len(got) != 0 {
		t.Errorf("after the upgrade to mode stock there are still %v", got)
	}
}

// With the values of docs/helm.md agents go where the labels say, and then everywhere.
func TestAgentsComeNodeByNode(t *testing.T) {
	c := theCluster(t)
	agentsAreBound := func() bool {
		live, err := c.get(t, named("apps/v1", "DaemonSet", namespace, "switchyard-node"))
		if err != nil {
			t.Fatal(err)
		}
		return dig(live.Object, "spec", "template", "spec")["affinity"] != nil
	}
	if _, err := c.install(t, ""); err != nil {
		t.Fatal(err)
	}
	defer c.uninstall(t)
	if c.hasAgents(t) {
		t.Error("who asks for nothing gets agents")
	}
	reuse := func(u *action.Upgrade) { u.ResetThenReuseValues = true }
	if err := c.tryUpgrade(t, valuesOfThePage(t), reuse); err != nil || !agentsAreBound() {
		t.Errorf("agents are on all nodes at once: %v", err)
	}
	if err := c.tryUpgrade(t, "node: {affinity: null}", reuse); err != nil || agentsAreBound() {
		t.Errorf("agents do not come to all nodes at the end: %v", err)
	}
}

// keepsBundles checks that Helm leaves alone what the manager has written.
func (c cluster) keepsBundles(t *testing.T) {
	t.Helper()
	if err := c.webhooks(t, func(config map[string]any) error {
		if config["caBundle"] != bundle {
			return errors.New("the certificate authority of a webhook is gone")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// Who has installed with kubectl can go on with Helm.
func TestReleaseTakesOverFromKubectl(t *testing.T) {
	c := theCluster(t)
	for _, crds := range []bool{true, false} {
		for id, o := range kustomize(t, "config/overlays/node") {
			early := strings.HasPrefix(id, "CustomResourceDefinition/") || strings.HasPrefix(id, "Namespace/")
			if early != crds {
				continue
			}
			applied := client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: o})
			if err := c.Apply(t.Context(), applied, client.FieldOwner("kubectl"), client.ForceOwnership); err != nil {
				t.Fatalf("%s: %v", id, err)
			}
		}
	}
	if _, err := c.install(t, ""); err == nil || !strings.Contains(err.Error(), "agents run in the namespace switchyard-system") {
		t.Errorf("a release of mode stock is put beside agents: %v", err)
	}
	if _, err := c.install(t, "mode: node"); err == nil || !strings.Contains(err.Error(), "cannot be imported into the current release") {
		t.Errorf("Helm takes what is not its own: %v", err)
	}
	before := c.templates(t)
	made, err := c.install(t, "mode: node", func(i *action.Install) { i.TakeOwnership, i.ForceConflicts = true, true })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, c.templates(t)); diff != "" {
		t.Errorf("pods are replaced, although nothing about them has changed (-kubectl +helm):\n%s", diff)
	}
	c.leavesOnlyCRDs(t, decode(t, made.Manifest))
}

// templates are what the pods of both programs are made from: another one replaces
// them. (A Deployment's generation tells less, as its annotations are in it.)
func (c cluster) templates(t *testing.T) map[string]any {
	t.Helper()
	all := map[string]any{}
	for kind, name := range map[string]string{"DaemonSet": "switchyard-node", "Deployment": "switchyard-manager"} {
		live, err := c.get(t, named("apps/v1", kind, namespace, name))
		if err != nil {
			t.Fatal(err)
		}
		template, found, err := unstructured.NestedMap(live.Object, "spec", "template")
		if err != nil || !found {
			t.Fatalf("%s %s has no template: %v", kind, name, err)
		}
		all[kind] = template
	}
	return all
}

// leavesOnlyCRDs uninstalls.
func (c cluster) leavesOnlyCRDs(t *testing.T, manifests map[string]map[string]any) {
	t.Helper()
	c.uninstall(t)
	left := c.there(t, manifests)
	if len(left) == 0 {
		t.Error("the CRDs are gone")
	}
	for _, id := range left {
		if !strings.HasPrefix(id, "CustomResourceDefinition/") {
			t.Errorf("%s is left", id)
		}
	}
}

// A namespace that would admit no agent is told before there is anything.
func TestNamespaceHasToAdmitTheAgents(t *testing.T) {
	c := theCluster(t)
	c.enforces(t, "baseline")
	const remedy = "kubectl label --overwrite namespace switchyard-system pod-security.kubernetes.io/enforce=privileged"
	if _, err := c.install(t, "mode: node"); err == nil || !strings.Contains(err.Error(), remedy) {
		t.Errorf("the error is %v, and is to name the remedy", err)
	}
	if _, err := c.install(t, "", dryRun); err != nil {
		t.Errorf("mode stock has nothing that needs more: %v", err)
	}
	c.enforces(t, "privileged")
	if _, err := c.install(t, "mode: node", dryRun); err != nil {
		t.Error(err)
	}
}

// The notes speak of what the cluster lacks, and of nothing that it has.
func TestNotesKnowTheCluster(t *testing.T) {
	c := theCluster(t)
	const proxy, host, cidr = "kube-proxy runs on this cluster", "--set apiServer.host=HOST", "--set node.config.clusterCIDR=CIDR"
	says := func(values string, want ...string) {
		t.Helper()
		made, err := c.install(t, values, dryRun)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{proxy, host, cidr} {
			if got := strings.Contains(made.Info.Notes, text); got != slices.Contains(want, text) {
				t.Errorf("with %s, whether the notes say %q is %t:\n%s", values, text, got, made.Info.Notes)
			}
		}
	}
	says("mode: node", host, cidr)

	c.has(t, namespace, named("v1", "ConfigMap", namespace, "switchyard-apiserver"))
	c.has(t, namespace, named("v1", "ConfigMap", namespace, "switchyard-node"))
	says("mode: node")

	kubeProxy := c.has(t, "kube-system", kubeProxy())
	says("mode: node") // it is bound to no node, as after docs/migrate.md
	kubeProxy.Object["status"] = map[string]any{
		"currentNumberScheduled": int64(0), "numberMisscheduled": int64(0), "desiredNumberScheduled": int64(3), "numberReady": int64(0),
	}
	if err := c.Status().Update(t.Context(), kubeProxy); err != nil {
		t.Fatal(err)
	}
	says("mode: node", proxy)
	says("{mode: node, node: {affinity: {nodeAffinity: {}}}}")
	says("mode: stock")
}

// has makes an object, and its namespace if there is none, until the test ends.
func (c cluster) has(t *testing.T, in string, manifest map[string]any) *unstructured.Unstructured {
	t.Helper()
	space := &unstructured.Unstructured{Object: named("v1", "Namespace", "", in)}
	if err := c.Create(t.Context(), space); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{Object: manifest}
	if err := c.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Delete(context.WithoutCancel(t.Context()), o); err != nil {
			t.Error(err)
		}
	})
	return o
}

// enforces sets the Pod Security level of the namespace.
func (c cluster) enforces(t *testing.T, level string) {
	t.Helper()
	space := &unstructured.Unstructured{Object: named("v1", "Namespace", "", namespace)}
	space.SetLabels(map[string]string{"pod-security.kubernetes.io/enforce": level})
	if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(space), client.FieldOwner("test"), client.ForceOwnership); err != nil {
		t.Fatal(err)
	}
}

func dryRun(i *action.Install) { i.DryRunStrategy = action.DryRunServer }

func kubeProxy() map[string]any {
	o := named("apps/v1", "DaemonSet", "kube-system", "kube-proxy")
	same := map[string]any{"k8s-app": "kube-proxy"}
	o["spec"] = map[string]any{
		"selector": map[string]any{"matchLabels": same},
		"template": map[string]any{
			"metadata": map[string]any{"labels": same},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": "kube-proxy", "image": "kube-proxy"}}},
		},
	}
	return o
}

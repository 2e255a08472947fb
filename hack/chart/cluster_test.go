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
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/kube"
	release "helm.sh/helm/v4/pkg/release/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/test/testenv"
)

// A cluster is an API server without controllers, and Helm's view of it.
type cluster struct {
	client.Client
	settings *cli.EnvSettings
}

// running is the one cluster of all tests, which each leaves as it was but for the
// namespace and the CRDs.
var running = sync.OnceValues(startCluster)

// stop ends it.
var stop = func() error { return nil }

func theCluster(t *testing.T) cluster {
	t.Helper()
	c, err := running()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func startCluster() (cluster, error) {
	env, err := testenv.New()
	if err != nil {
		return cluster{}, err
	}
	env.CRDDirectoryPaths, env.ErrorIfCRDPathMissing = nil, false // the chart has them
	env.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.96.0.0/16")
	stop = env.Stop
	config, err := env.Start()
	if err != nil {
		return cluster{}, err
	}
	config.QPS = -1 // no limit
	settings := cli.New()
	settings.QPS, settings.BurstLimit = 1000, 1000
	settings.KubeConfig = filepath.Join(scratch, "kubeconfig")
	settings.SetNamespace(namespace)
	if err := os.WriteFile(settings.KubeConfig, env.KubeConfig, 0o600); err != nil {
		return cluster{}, err
	}
	c, err := client.New(config, client.Options{})
	return cluster{c, settings}, err
}

// helm is what all commands of Helm share.
func (c cluster) helm(t *testing.T) *action.Configuration {
	t.Helper()
	configuration := action.NewConfiguration()
	if err := configuration.Init(c.settings.RESTClientGetter(), namespace, "secret"); err != nil {
		t.Fatal(err)
	}
	return configuration
}

// install is `helm install --create-namespace`, with what more sets.
func (c cluster) install(t *testing.T, values string, more ...func(*action.Install)) (*release.Release, error) {
	t.Helper()
	install := action.NewInstall(c.helm(t))
	install.ReleaseName, install.Namespace, install.CreateNamespace = "switchyard", namespace, true
	install.WaitStrategy, install.Timeout = kube.HookOnlyStrategy, 3*time.Minute
	for _, m := range more {
		m(install)
	}
	made, err := install.Run(load(t), parsed(t, values))
	if err != nil {
		return nil, err
	}
	return made.(*release.Release), nil
}

func (c cluster) upgrade(t *testing.T, values string) {
	t.Helper()
	if err := c.tryUpgrade(t, values); err != nil {
		t.Fatal(err)
	}
}

func (c cluster) tryUpgrade(t *testing.T, values string, more ...func(*action.Upgrade)) error {
	t.Helper()
	upgrade := action.NewUpgrade(c.helm(t))
	upgrade.Namespace, upgrade.WaitStrategy, upgrade.Timeout = namespace, kube.HookOnlyStrategy, 3*time.Minute
	for _, m := range more {
		m(upgrade)
	}
	_, err := upgrade.Run("switchyard", load(t), parsed(t, values))
	return err
}

func (c cluster) rollback(t *testing.T, revision int) {
	t.Helper()
	rollback := action.NewRollback(c.helm(t))
	rollback.Version, rollback.WaitStrategy, rollback.Timeout = revision, kube.HookOnlyStrategy, 3*time.Minute
	if err := rollback.Run("switchyard"); err != nil {
		t.Fatal(err)
	}
}

func (c cluster) uninstall(t *testing.T) {
	t.Helper()
	uninstall := action.NewUninstall(c.helm(t))
	uninstall.WaitStrategy, uninstall.Timeout = kube.HookOnlyStrategy, 3*time.Minute
	if _, err := uninstall.Run("switchyard"); err != nil {
		t.Fatal(err)
	}
}

// there returns which of the manifests are on the API server.
func (c cluster) there(t *testing.T, manifests map[string]map[string]any) (ids []string) {
	t.Helper()
	for id, o := range manifests {
		switch live, err := c.get(t, o); {
		case err == nil && live.GetDeletionTimestamp() == nil:
			ids = append(ids, id)
		case err != nil && !apierrors.IsNotFound(err):
			t.Fatal(err)
		}
	}
	slices.Sort(ids)
	return ids
}

func (c cluster) get(t *testing.T, manifest map[string]any) (*unstructured.Unstructured, error) {
	t.Helper()
	live := &unstructured.Unstructured{Object: map[string]any{"apiVersion": manifest["apiVersion"], "kind": manifest["kind"]}}
	asked := unstructured.Unstructured{Object: manifest}
	return live, c.Get(t.Context(), client.ObjectKeyFromObject(&asked), live)
}

// arguments are those of the manager.
func (c cluster) arguments(t *testing.T) []any {
	t.Helper()
	live, err := c.get(t, named("apps/v1", "Deployment", namespace, "switchyard-manager"))
	if err != nil {
		t.Fatal(err)
	}
	return dig(live.Object, "spec", "template", "spec")["containers"].([]any)[0].(map[string]any)["args"].([]any)
}

func (c cluster) hasAgents(t *testing.T) bool {
	t.Helper()
	return len(c.there(t, map[string]map[string]any{agentID: named("apps/v1", "DaemonSet", namespace, "switchyard-node")})) == 1
}

// revisions are the releases that Helm has stored.
func (c cluster) revisions(t *testing.T) (names []string) {
	t.Helper()
	var secrets unstructured.UnstructuredList
	secrets.SetGroupVersionKind(apischema.GroupVersionKind{Version: "v1", Kind: "SecretList"})
	if err := c.List(t.Context(), &secrets, client.InNamespace(namespace), client.MatchingLabels{"owner": "helm"}); err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets.Items {
		names = append(names, strings.TrimPrefix(s.GetName(), "sh.helm.release.v1."))
	}
	return names
}

func named(version, kind, namespace, name string) map[string]any {
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return map[string]any{"apiVersion": version, "kind": kind, "metadata": metadata}
}

// bundle is the certificate authority that the manager writes into its webhooks.
var bundle = base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"))

// webhooks does with each webhook what the manager does.
func (c cluster) webhooks(t *testing.T, each func(config map[string]any) error) error {
	t.Helper()
	var errs []error
	for _, kind := range []string{"Validating", "Mutating"} {
		name := "switchyard-" + strings.ToLower(kind) + "-webhook-configuration"
		live, err := c.get(t, named("admissionregistration.k8s.io/v1", kind+"WebhookConfiguration", "", name))
		if err != nil {
			return err
		}
		for _, w := range live.Object["webhooks"].([]any) {
			errs = append(errs, each(w.(map[string]any)["clientConfig"].(map[string]any)))
		}
		errs = append(errs, c.Update(t.Context(), live, client.FieldOwner("switchyard-manager")))
	}
	return errors.Join(errs...)
}

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

package certificates

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/cmd/manager/app"
	"switchyard.dev/switchyard/test/testenv/managers"
)

// another is the namespace of a second installation.
const another = "another-system"

// single is a manager of a test's own, and where it serves.
type single struct {
	probe, webhook string
	stop           func()
}

// single runs one manager until it is stopped.
func (s *scene) single(namespace string, config *rest.Config) *single {
	s.Helper()
	options := app.Options{}
	options.Defaults()
	options.Namespace, options.ProbeBindAddress, options.Webhooks.Host = namespace, s.freeAddress(), "127.0.0.1"
	m := &single{probe: options.ProbeBindAddress, webhook: s.freeAddress()}
	_, err := fmt.Sscanf(m.webhook, "127.0.0.1:%d", &options.Webhooks.Port)
	s.must(err)
	s.must(options.Validate())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Serve(ctx, config, options) }()
	m.stop = func() {
		cancel()
		if err := <-done; err != nil {
			s.Errorf("a manager ended: %v", err)
		}
		done <- nil // for who stops it once more
	}
	s.Cleanup(m.stop)
	return m
}

// TestANewInstallationWaitsForNobody: the webhook configurations of the one before were
// left behind when its namespace was deleted. Nobody serves what its authority signed.
func TestANewInstallationWaitsForNobody(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	before := s.single(managers.Namespace, s.account)
	s.must(managers.InstallWebhooks(t.Context(), s.api, s.front.Port()))
	s.within("a manager is not ready", func() error { return ready(before.probe) })
	left, err := s.bundles()
	s.must(err)
	before.stop()
	s.namespaceAnew()

	s.start(func(_ int, options *app.Options) { options.Certificates.Settle = 10 * patience })
	bundles, err := s.bundles()
	s.must(err)
	for _, bundle := range bundles {
		if strings.Contains(bundle, left[0]) {
			t.Error("the authority of the installation before is trusted")
		}
	}
	load := s.populate()
	s.answered(load, 5)
	load.stop()
	s.noCallFailed(load.failed)
}

// namespaceAnew does what deletes a namespace with what matters in it, as no
// controller does here, and makes it again.
func (s *scene) namespaceAnew() {
	s.Helper()
	inside := client.InNamespace(managers.Namespace)
	s.must(s.api.DeleteAllOf(s.Context(), &corev1.Secret{}, inside))
	s.must(s.api.DeleteAllOf(s.Context(), &coordinationv1.Lease{}, inside))
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: managers.Namespace}}
	key := client.ObjectKeyFromObject(namespace)
	s.must(s.api.Get(s.Context(), key, namespace))
	uid := namespace.UID
	s.must(s.api.Delete(s.Context(), namespace))
	s.within("the namespace is not gone", func() error {
		if err := s.api.Get(s.Context(), key, namespace); err != nil {
			return client.IgnoreNotFound(err)
		}
		namespace.Spec.Finalizers = nil
		return errors.Join(s.api.SubResource("finalize").Update(s.Context(), namespace), errors.New("it was there"))
	})
	s.within("the namespace is not there again", func() error {
		err := managers.Install(s.Context(), s.api)
		if err == nil {
			err = s.api.Get(s.Context(), key, namespace)
		}
		if err == nil && namespace.UID == uid {
			err = errors.New("it is the same")
		}
		return err
	})
}

// TestASecondInstallation takes what is in no namespace from the first: it serves, the
// first says so and leaves the webhooks alone, and either can be had back.
func TestASecondInstallation(t *testing.T) {
	s := newScene(t)
	s.must(s.api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: another}}))
	s.must(s.api.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: another, Name: managers.WebhookService},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}))
	var probes []string
	s.start(func(_ int, options *app.Options) { probes = append(probes, options.ProbeBindAddress) })
	first := s.webhooks

	s.bind(another)
	s.leadTo(another)
	second := s.single(another, s.admin)
	s.within("the second is not ready", func() error { return ready(second.probe) })
	for _, probe := range probes {
		s.within("the first says nothing", func() error { return elsewhere(probe, another) })
	}
	for _, address := range first {
		s.front.Remove(address)
	}
	s.front.Add(second.webhook)
	s.heard()
	load := s.populate()
	s.answered(load, 20)
	load.stop()
	s.noCallFailed(load.failed)
	s.must(s.api.Delete(t.Context(), service("victim")))
	s.told("Nobody asks the webhooks of this installation", `"services":["another-system/switchyard-webhook-service"]`, "delete the namespace of the other")
	s.told("The installation of another namespace had the webhook configurations before", `"other":"switchyard-system"`, "delete the namespace of the other")

	s.bind(managers.Namespace)
	s.leadTo(managers.Namespace)
	for _, probe := range probes {
		s.within("the first is not ready again", func() error { return ready(probe) })
	}
	s.within("the second says nothing", func() error { return elsewhere(second.probe, managers.Namespace) })
	s.front.Remove(second.webhook)
	for _, address := range first {
		s.front.Add(address)
	}
	s.heard()
	again := s.populate()
	s.answered(again, 20)
	again.stop()
	s.noCallFailed(again.failed)
}

// heard returns when the API server knows whom to ask and to trust.
func (s *scene) heard() {
	s.Helper()
	s.within("the webhooks can not be asked", func() error { return s.api.Create(s.Context(), service("asked"), client.DryRunAll) })
}

// bind gives the rights in the whole cluster to the account of one namespace, as its
// manifests do, and so takes them from the other. It returns when that is felt.
func (s *scene) bind(namespace string) {
	s.Helper()
	api, err := client.New(s.account, client.Options{Scheme: scheme})
	s.must(err)
	var bindings rbacv1.ClusterRoleBindingList
	s.must(s.api.List(s.Context(), &bindings))
	for i := range bindings.Items {
		for j, subject := range bindings.Items[i].Subjects {
			if subject.Kind == rbacv1.ServiceAccountKind && subject.Name == managers.Account {
				bindings.Items[i].Subjects[j].Namespace = namespace
				s.must(s.api.Update(s.Context(), &bindings.Items[i]))
			}
		}
	}
	s.within("the rights are not the other's", func() error {
		validating, _, err := s.configurations()
		s.must(err)
		err = api.Get(s.Context(), client.ObjectKeyFromObject(validating), validating)
		if (err == nil) == (namespace == managers.Namespace) && (err == nil || apierrors.IsForbidden(err)) {
			return nil
		}
		return fmt.Errorf("a manager reads its webhook configuration, and is answered %w", err)
	})
}

// leadTo has the configurations lead to the Service of a namespace, and leaves whom
// they trust, as its manifests do.
func (s *scene) leadTo(namespace string) {
	s.Helper()
	s.within("the webhook configurations can not be changed", func() error {
		validating, mutating, err := s.configurations()
		if err != nil {
			return err
		}
		for i := range validating.Webhooks {
			validating.Webhooks[i].ClientConfig.Service.Namespace = namespace
		}
		for i := range mutating.Webhooks {
			mutating.Webhooks[i].ClientConfig.Service.Namespace = namespace
		}
		return errors.Join(s.api.Update(s.Context(), validating), s.api.Update(s.Context(), mutating))
	})
}

// elsewhere is nil when a manager is not ready because the webhooks lead to the other
// namespace.
func elsewhere(probe, namespace string) error {
	response, err := (&http.Client{Timeout: 30 * time.Second}).Get("http://" + probe + "/readyz/webhooks")
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode == http.StatusOK || !strings.Contains(string(text), namespace+"/"+managers.WebhookService)) {
		err = fmt.Errorf("readyz says %s: %s", response.Status, text)
	}
	return err
}

// told is in a line of the managers' with all of the parts.
func (s *scene) told(what string, parts ...string) {
	s.Helper()
	for line := range strings.Lines(said.String()) {
		all := strings.Contains(line, what)
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			return
		}
	}
	s.Errorf("no line says %q with %q", what, parts)
}

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

package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"switchyard.dev/switchyard/test/examples"
)

// TestWhyTellsTheExamplesApart makes all of docs/examples at once, so that they
// settle beside each other, and asks one after the other: what is said has to be
// what the file says, and connections have to come to what is said.
func TestWhyTellsTheExamplesApart(t *testing.T) {
	needCluster(t)
	all, err := examples.Read()
	if err != nil {
		t.Fatal(err)
	}
	admin := unhurried(t)
	defer func() {
		if err := removeAll(context.WithoutCancel(t.Context()), admin, all); err != nil {
			t.Error(err)
		}
	}()
	if err := makeAll(t.Context(), admin, all); err != nil {
		t.Fatal(err)
	}
	// Those that take a minute come last.
	slices.SortStableFunc(all, func(a, b *examples.Example) int { return cmp.Compare(a.Later, b.Later) })
	for _, e := range all {
		if e.Refused == "" {
			t.Run(e.Name, func(t *testing.T) { judged(t, admin, e) })
		}
	}
}

// unhurried is a client that nobody keeps from asking often.
func unhurried(t *testing.T) client.Client {
	kubeconfig, err := cluster.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// makeAll creates the namespaces and objects of all.
func makeAll(ctx context.Context, admin client.Client, all []*examples.Example) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, e := range all {
		group.Go(func() error {
			if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: e.Name}}); err != nil {
				return err
			}
			return makeObjects(ctx, admin, e)
		})
	}
	return group.Wait()
}

// makeObjects creates those of one, or sees that they are refused as they have to be.
func makeObjects(ctx context.Context, admin client.Client, e *examples.Example) error {
	for _, object := range slices.SortedStableFunc(slices.Values(e.Objects), namespacesFirst) {
		err := makeOne(ctx, admin, object)
		if err != nil && e.Refused != "" && strings.Contains(err.Error(), e.Refused) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: creating %s %s: %w", e.Name, object.GetKind(), object.GetName(), err)
		}
	}
	if e.Refused != "" {
		return fmt.Errorf("%s was not refused (%s)", e.Name, e.Refused)
	}
	return nil
}

func namespacesFirst(a, b *unstructured.Unstructured) int {
	rank := func(o *unstructured.Unstructured) int {
		if o.GetKind() == "Namespace" {
			return 0
		}
		return 1
	}
	return rank(a) - rank(b)
}

// makeOne creates an object, and writes its status as whoever is to write it would.
func makeOne(ctx context.Context, admin client.Client, object *unstructured.Unstructured) error {
	status, hasStatus, err := unstructured.NestedMap(object.Object, "status")
	if err != nil {
		return err
	}
	// A pod needs its namespace's service account, which a controller makes.
	for err = admin.Create(ctx, object); apierrors.IsForbidden(err) && ctx.Err() == nil; err = admin.Create(ctx, object) {
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil || !hasStatus {
		return err
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	return admin.Status().Patch(ctx, object, client.RawPatch(types.MergePatchType, patch))
}

// removeAll makes way for other tests: the namespaces go when their objects have.
func removeAll(ctx context.Context, admin client.Client, all []*examples.Example) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, e := range all {
		group.Go(func() error {
			for _, object := range e.Objects {
				if len(object.GetFinalizers()) == 0 {
					continue
				}
				patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
				if err := admin.Patch(ctx, object, patch); client.IgnoreNotFound(err) != nil {
					return err
				}
			}
			for _, object := range e.Objects {
				if object.GetKind() == "Pod" || object.GetKind() == "Namespace" {
					if err := admin.Delete(ctx, object, client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
						return err
					}
				}
			}
			return client.IgnoreNotFound(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: e.Name}}))
		})
	}
	return group.Wait()
}

// judged asks and connects, and asks again: a verdict that was right by chance
// while things were on their way does not stay.
func judged(t *testing.T, admin client.Client, e *examples.Example) {
	if d := e.Delete; d != nil {
		if d.OnceReady {
			output(t, "wait", "-n", e.Name, "--for=condition=Ready", d.Kind+"/"+d.Name, waitFor)
		}
		output(t, "delete", "-n", e.Name, d.Kind, d.Name, "--wait=false")
	}
	await(t, func() error {
		if err := remake(t, admin, e); err != nil {
			return err
		}
		return verdictOf(t, e)
	})
	for _, c := range e.Connections {
		await(t, func() error { return comesTo(t, e, c) })
	}
	if err := verdictOf(t, e); err != nil {
		t.Error(err)
	}
}

// remake makes pods anew that the garbage collector has taken: it leaves those of
// a node that does not exist for 40 s, which is less than a busy machine may need
// to come to their turn.
func remake(t *testing.T, admin client.Client, e *examples.Example) error {
	for _, object := range e.Objects {
		node, _, err := unstructured.NestedString(object.Object, "spec", "nodeName")
		if err != nil || node == "" || object.GetKind() != "Pod" {
			continue
		}
		again := object.DeepCopy()
		again.SetResourceVersion("")
		again.SetUID("")
		if err := admin.Create(t.Context(), again); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// verdictOf compares what is said with what has to be.
func verdictOf(t *testing.T, e *examples.Example) error {
	report, problems, code := whyReport(t, append([]string{"-n", e.Name}, e.Question...)...)
	v, wantCode := report.Verdict, 1
	if e.Sound {
		wantCode = 0
	}
	if v.State != e.State || v.Reason != e.Reason || code != wantCode {
		return fmt.Errorf("exit code %d, %s %s, want %d, %s %s: %s%s", code, v.State, v.Reason, wantCode, e.State, e.Reason, v.Sentence, problems)
	}
	for _, part := range e.Says {
		if !strings.Contains(v.Sentence, part) {
			return fmt.Errorf("%q is not said: %s", part, v.Sentence)
		}
	}
	if len(report.Unseen) > 0 {
		return fmt.Errorf("who may read all has not seen %q", report.Unseen)
	}
	return nil
}

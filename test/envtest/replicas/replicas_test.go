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

package replicas

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/managers"
)

const (
	systemNamespace = "switchyard-system"
	replicaCount    = 8
	clientCount     = 64

	// patience is for a machine that has other work.
	patience = 3 * time.Minute
)

// steps is how much each client does at least.
var steps = flag.Int("steps", 15, "requests of each client")

var scheme = runtime.NewScheme()

func init() {
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		panic(err)
	}
	log.SetLogger(zap.New(zap.WriteTo(io.Discard)))
}

func TestNoPortIsGivenTwiceOrLost(t *testing.T) {
	for _, mode := range []allocator.Mode{allocator.Advisory, allocator.Authoritative} {
		t.Run(string(mode), func(t *testing.T) { contend(t, mode) })
	}
}

// contend lets everybody do what they like, ends replicas right after they have
// claimed a number, and then asks the ledger.
func contend(t *testing.T, mode allocator.Mode) {
	// 64 clients want about two ports each: most of the time 95 % are taken.
	ports := allocator.PortSpan{First: 30000, Last: 30119}
	environment, config, front := startAPIServer(t, ports)
	f := &fleet{
		t: t, config: config, mode: mode, ports: ports,
		certs: environment.WebhookInstallOptions.LocalServingCertDir, front: front,
	}
	f.lethal.Store(40)
	if mode == allocator.Advisory {
		f.lethal.Store(10) // fewer numbers are claimed
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running := f.launch(t, ctx)
	books := newLedger()
	answers := &tally{ledger: books, counts: map[string]int{}}
	var busy sync.WaitGroup
	size := int(ports.Last - ports.First + 1)
	var fullness gauge
	begin := time.Now()
	for i := range clientCount {
		c := &tenant{
			api: newClient(t, config), ledger: books, tally: answers, ports: ports,
			random: rand.New(rand.NewPCG(uint64(i), 7)), name: fmt.Sprintf("client-%d", i),
		}
		busy.Go(func() {
			// A busy machine may do all of it before chance ends a replica, or while the
			// range fills.
			tested := func() bool { return f.deaths.Load() > 0 && isFull(fullness.median(), size) }
			for i := 0; i < *steps || !tested() && time.Since(begin) < patience; i++ {
				c.step(ctx)
			}
		})
	}
	done := make(chan struct{})
	go func() { busy.Wait(); close(done) }()
	api := newClient(t, config)
	for ticker := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case <-ticker.C:
			fullness.note(books.taken(claimedPorts(t, api)))
			continue
		case <-done:
		}
		break
	}
	fullest, median := fullness.most(), fullness.median()
	wrong := answers.verdict()
	t.Logf("%s, %d replicas, %d clients, %s: %d replicas died after a claim, %d of %d ports taken (median), at most %d\n%s", mode, replicaCount, clientCount,
		time.Since(begin).Round(time.Second), f.deaths.Load(), median, size, fullest, answers)

	if faults := books.faults(); faults != "" {
		t.Errorf("given twice:\n%s", faults)
	}
	for i, text := range wrong {
		if t.Errorf("answered wrongly: %s", text); i == 10 {
			break
		}
	}
	if !isFull(median, size) {
		t.Errorf("%d of %d ports were taken (median): this has not tested what it is for", median, size)
	}
	if f.deaths.Load() == 0 {
		t.Error("no replica died: this has not tested what it is for")
	}
	f.lethal.Store(0)
	checkNothingIsLost(t, f, api)
	cancel()
	running.Wait()
}

// claimedPorts are the ports that some replica has claimed for a request, also
// of one that has died since.
func claimedPorts(t *testing.T, api client.Client) []int32 {
	t.Helper()
	var leases coordinationv1.LeaseList
	if err := api.List(t.Context(), &leases, client.InNamespace(systemNamespace), client.HasLabels{allocator.ClaimLabel}); err != nil {
		t.Fatal(err)
	}
	var ports []int32
	for i := range leases.Items {
		claim, err := allocator.ClaimOfLease(&leases.Items[i])
		if err != nil {
			t.Fatal(err)
		}
		if claim.Number.IsPort() {
			ports = append(ports, claim.Number.Port)
		}
	}
	return ports
}

// launch starts the replicas and keeps their number.
func (f *fleet) launch(t *testing.T, ctx context.Context) *sync.WaitGroup {
	t.Helper()
	var starting, running sync.WaitGroup
	for range replicaCount {
		starting.Add(1)
		running.Go(func() {
			r, err := f.start()
			starting.Done()
			if err == nil {
				err = f.keep(ctx, r)
			}
			if err != nil {
				t.Errorf("running a replica: %v", err)
			}
		})
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return &running
}

// checkNothingIsLost deletes every Service, lets the time pass after which a
// claim can no longer become one, and takes all ports of the range once more.
func checkNothingIsLost(t *testing.T, f *fleet, api client.Client) {
	t.Helper()
	ctx := t.Context()
	if err := api.DeleteAllOf(ctx, &corev1.Service{}, client.InNamespace("default")); err != nil {
		t.Fatal(err)
	}
	f.ahead.Store(int64(allocator.ClaimLifetime))
	within(t, patience, "claims are left", func() bool {
		var claims coordinationv1.LeaseList
		err := api.List(ctx, &claims, client.InNamespace(systemNamespace), client.HasLabels{allocator.ClaimLabel})
		return err == nil && len(claims.Items) == 0
	})
	for port := f.ports.First; port <= f.ports.Last; port++ {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("last-%d", port)},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: port}}},
		}
		if err := api.Create(ctx, service); err != nil {
			t.Errorf("port %d is lost: %v", port, err)
		}
	}
}

func within(t *testing.T, limit time.Duration, complaint string, done func() bool) {
	t.Helper()
	for begin := time.Now(); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Since(begin) > limit {
			t.Fatalf("%s after %s", complaint, limit)
		}
	}
}

func newClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.WarningHandlerWithContext = ears{}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// startAPIServer starts one that asks whoever is behind the front.
func startAPIServer(t *testing.T, ports allocator.PortSpan) (*envtest.Environment, *rest.Config, *managers.Front) {
	t.Helper()
	environment, err := testenv.New()
	if err != nil {
		t.Fatal(err)
	}
	environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", "10.0.0.0/20").
		Set("service-node-port-range", ports.String())
	environment.WebhookInstallOptions.MutatingWebhooks = []*admissionregistrationv1.MutatingWebhookConfiguration{webhookConfiguration()}
	config, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	options := environment.WebhookInstallOptions
	front, err := managers.NewFront(net.JoinHostPort(options.LocalServingHost, strconv.Itoa(options.LocalServingPort)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Close)
	if err := newClient(t, config).Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: systemNamespace}}); err != nil {
		t.Fatal(err)
	}
	return environment, config, front
}

func webhookConfiguration() *admissionregistrationv1.MutatingWebhookConfiguration {
	path, ignore := "/mutate--v1-service", admissionregistrationv1.Ignore
	sideEffects, timeout := admissionregistrationv1.SideEffectClassNoneOnDryRun, int32(3)
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: "switchyard"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "mservice.switchyard.dev", AdmissionReviewVersions: []string{"v1"},
			FailurePolicy: &ignore, SideEffects: &sideEffects, TimeoutSeconds: &timeout,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				Service: &admissionregistrationv1.ServiceReference{Namespace: systemNamespace, Name: "webhook", Path: &path},
			},
			NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: []string{systemNamespace}},
			}},
			MatchConditions: []admissionregistrationv1.MatchCondition{{Name: "ours", Expression: "request.name != 'kubernetes'"}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"}},
			}},
		}},
	}
}

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

package endstate

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/process"
)

// startServer is an API server and nothing else; no namespace is ever deleted.
func startServer(t *testing.T) (*envtest.Environment, *rest.Config) {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	environment, err := testenv.New()
	if err != nil {
		t.Fatal(err)
	}
	environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", "10.0.0.0/16,fd00:10::/112").
		Set("max-requests-inflight", "4000").Set("max-mutating-requests-inflight", "2000")
	config, err := environment.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	config.QPS = -1
	return environment, config
}

// newUser plays the people, kubelets and schedulers.
func newUser(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	config = rest.CopyConfig(config)
	// The API server's remarks on Endpoints are known.
	config.WarningHandlerWithContext = rest.NoWarnings{}
	api, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return client.WithFieldOwner(api, "kubectl-history")
}

// createNodes are ready and have CPU, which topology mode asks for. The control
// plane's has no zone and node-d shares one.
func createNodes(t *testing.T, api client.Client) {
	t.Helper()
	for name, zone := range map[string]string{"node-a": "zone-a", "node-b": "zone-b", "node-c": "zone-c", "node-d": "zone-a", "control-plane": ""} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
		if zone != "" {
			node.Labels[corev1.LabelTopologyZone] = zone
		} else {
			node.Labels["node-role.kubernetes.io/control-plane"] = ""
		}
		if err := api.Create(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		node.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
		node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
		if err := api.Status().Update(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
}

// startTheirs runs kube-controller-manager with its endpoint controllers alone,
// until it is told to end.
func startTheirs(t *testing.T, environment *envtest.Environment) (stop func()) {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, environment.KubeConfig, 0o600); err != nil {
		t.Fatal(err)
	}
	theirs := process.Run(t, process.KubeControllerManager(kubeconfig,
		"endpoints-controller,endpointslice-controller,endpointslice-mirroring-controller", "--leader-elect=false",
		"--kube-api-qps=100000", "--kube-api-burst=100000", "--concurrent-endpoint-syncs=10",
		"--concurrent-service-endpoint-syncs=10", "--mirroring-concurrent-service-endpoint-syncs=10",
		"--max-endpoints-per-slice="+strconv.Itoa(maxPerSlice), "--mirroring-max-endpoints-per-subset="+strconv.Itoa(maxPerSubset)), nil)
	return func() {
		if err := theirs.Alive(); err != nil {
			t.Fatal(err)
		}
		theirs.Kill()
	}
}

// makeRoom has the lease say that kube-controller-manager has started anew since
// it wrote anything, as it would without those controllers.
func makeRoom(t *testing.T, api client.Client) {
	t.Helper()
	now := &metav1.MicroTime{Time: time.Now().Add(2 * time.Second)}
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: "kube-controller-manager"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("other"), LeaseDurationSeconds: new(int32(3600)), AcquireTime: now, RenewTime: now},
	}
	if err := api.Create(t.Context(), lease, client.FieldOwner("kube-controller-manager")); err != nil {
		t.Fatal(err)
	}
}

// startOurs runs our controllers until the test ends; the channel is closed if
// they end before.
func startOurs(t *testing.T, config *rest.Config) <-chan struct{} {
	t.Helper()
	manager, err := ctrl.NewManager(config, ctrl.Options{Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	err = controllers.SetupEndpoints(manager, controllers.EndpointsAll, controllers.EndpointsOptions{
		Workers: 10, MaxEndpointsPerSlice: maxPerSlice, MaxEndpointsPerSubset: maxPerSubset,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := manager.Start(ctx); err != nil {
			t.Errorf("our manager: %v", err)
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return ended
}

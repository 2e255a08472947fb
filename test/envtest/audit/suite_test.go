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

package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/test/testenv"
)

const system = "switchyard-system"

// cluster is one API server with its etcd.
type cluster struct {
	environment *envtest.Environment
	config      *rest.Config
	scheme      *runtime.Scheme
	admin       client.Client
}

func start(t testing.TB) *cluster {
	t.Helper()
	var c cluster
	var err error
	if c.environment, err = testenv.New(); err != nil {
		t.Fatal(err)
	}
	c.environment.ControlPlane.GetAPIServer().Configure().
		Set("service-cluster-ip-range", "10.0.0.0/16").
		Set("service-node-port-range", "30000-30255")
	if c.config, err = c.environment.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	if c.scheme, err = inventory.Scheme(); err != nil {
		t.Fatal(err)
	}
	if c.admin, err = client.New(c.config, client.Options{Scheme: c.scheme}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{system, "a", "b"} {
		c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": name}}})
	}
	return &c
}

func (c *cluster) create(t testing.TB, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := c.admin.Create(context.Background(), object); err != nil {
			t.Fatalf("creating %T %s: %v", object, client.ObjectKeyFromObject(object), err)
		}
	}
}

// store writes objects into etcd, past the API server and all that it checks.
// Keys are those below /registry.
func (c *cluster) store(t testing.TB, objects map[string]any) {
	t.Helper()
	const most = 100 // operations of one transaction; etcd takes 128
	var puts []any
	flush := func() {
		body, err := json.Marshal(map[string]any{"success": puts})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.Post(c.environment.ControlPlane.Etcd.URL.String()+"/v3/kv/txn", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("writing into etcd: %s", answer.Status)
		}
		puts = nil
	}
	for key, object := range objects {
		value, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		puts = append(puts, map[string]any{"requestPut": map[string]any{
			"key": base64.StdEncoding.EncodeToString([]byte("/registry/" + key)), "value": base64.StdEncoding.EncodeToString(value),
		}})
		if len(puts) == most {
			flush()
		}
	}
	if len(puts) > 0 {
		flush()
	}
}

// stored is a Service as etcd has it, and its key.
func stored(namespace, name string, spec corev1.ServiceSpec) (string, *corev1.Service) {
	if spec.SessionAffinity == "" {
		spec.SessionAffinity = corev1.ServiceAffinityNone
	}
	return "services/specs/" + namespace + "/" + name, &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: types.UID(namespace + "-" + name), CreationTimestamp: metav1.Now(),
		},
		Spec: spec,
	}
}

// service is one for the API server to complete.
func service(namespace, name string, nodePorts ...int32) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: []corev1.ServicePort{{Name: "p", Port: 80}}},
	}
	for i, port := range nodePorts {
		s.Spec.Type = corev1.ServiceTypeNodePort
		s.Spec.Ports = append(s.Spec.Ports[:i], corev1.ServicePort{Name: fmt.Sprint("p", i), Port: int32(80 + i), NodePort: port})
	}
	return s
}

func at(s *corev1.Service, ip string) *corev1.Service {
	s.Spec.ClusterIP, s.Spec.ClusterIPs = ip, []string{ip}
	return s
}

func ipAddress(ip, namespace, name string) *networkingv1.IPAddress {
	return &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{
			networkingv1.LabelIPAddressFamily: "IPv4", networkingv1.LabelManagedBy: "ipallocator.k8s.io",
		}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Resource: "services", Namespace: namespace, Name: name}},
	}
}

// stopRepair keeps the API server, whose repair acts as system:apiserver, from
// writing IPAddresses. From then on it gives no ClusterIPs either.
func (c *cluster) stopRepair(t *testing.T) {
	t.Helper()
	rule := admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{"networking.k8s.io"}, APIVersions: []string{"v1"}, Resources: []string{"ipaddresses"}},
	}}
	c.create(t, &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "no-repair"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{rule}},
			Validations:      []admissionregistrationv1.Validation{{Expression: "request.userInfo.username != 'system:apiserver'"}},
		},
	}, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "no-repair"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "no-repair", ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	})
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:apiserver", Groups: []string{"system:masters"}}
	server, err := client.New(config, client.Options{Scheme: c.scheme})
	if err != nil {
		t.Fatal(err)
	}
	NewWithT(t).Eventually(func() error {
		return server.Create(t.Context(), ipAddress("10.0.99.99", "a", "nobody"), client.DryRunAll)
	}, 3*time.Minute, 50*time.Millisecond).Should(MatchError(ContainSubstring("no-repair")))
}

// look reads and indexes the cluster as the command line does.
func (c *cluster) look(t testing.TB) *inventory.Index {
	t.Helper()
	nodePorts := inventory.LearnNodePorts(context.Background(), inventory.Flagz(c.config), c.admin, system)
	inv, err := inventory.Scope{Endpoints: true}.Read(context.Background(), c.admin, system, nodePorts)
	if err != nil {
		t.Fatal(err)
	}
	return inv.Index()
}

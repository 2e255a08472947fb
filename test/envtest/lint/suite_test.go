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

package lint

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/test/testenv"
)

// cluster is an API server with what the manifests are held against.
type cluster struct {
	environment *envtest.Environment
	admin       client.Client
	scheme      *runtime.Scheme
	config      *rest.Config
	tools       testenv.Toolbox
}

func start(t *testing.T) *cluster {
	t.Helper()
	var c cluster
	var err error
	if c.environment, err = testenv.New(); err != nil {
		t.Fatal(err)
	}
	c.environment.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.0.0.0/24,fd00::/112")
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
	c.tools = testenv.NewToolbox(t)
	return &c
}

// create makes objects that are written as manifests; those with a status get it.
func (c *cluster) create(t *testing.T, manifests ...string) {
	t.Helper()
	for _, manifest := range manifests {
		object := c.parse(t, manifest)
		reported := object.DeepCopyObject().(client.Object)
		if err := c.admin.Create(t.Context(), object); err != nil {
			t.Fatalf("%s: %v", manifest, err)
		}
		if pod, is := reported.(*corev1.Pod); is {
			pod.ResourceVersion = object.GetResourceVersion()
			if err := c.admin.Status().Update(t.Context(), pod); err != nil {
				t.Fatalf("%s: %v", manifest, err)
			}
		}
	}
}

func (c *cluster) parse(t *testing.T, manifest string) client.Object {
	t.Helper()
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal([]byte(manifest), &kind); err != nil {
		t.Fatal(err)
	}
	object, err := c.scheme.New(kind.GroupVersionKind())
	if err == nil {
		err = yaml.UnmarshalStrict([]byte(manifest), object)
	}
	if err != nil {
		t.Fatalf("%s: %v", manifest, err)
	}
	return object.(client.Object)
}

// reading is what lint --cluster needs, all of it and nothing else.
var reading = []rbacv1.PolicyRule{
	{APIGroups: []string{""}, Resources: []string{"services", "pods", "nodes"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"servicecidrs"}, Verbs: []string{"list", "watch"}},
	{APIGroups: []string{"switchyard.dev"}, Resources: []string{"portpools", "addresspools"}, Verbs: []string{"list", "watch"}},
	{APIGroups: []string{"switchyard.dev"}, Resources: []string{"portreservations", "addressreservations"}, Verbs: []string{"get"}},
	{APIGroups: []string{""}, Resources: []string{"endpoints", "namespaces"}, Verbs: []string{"get"}},
	{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"get", "list"}},
}

// user is somebody with these rights, once the API server knows of them.
func (c *cluster) user(t *testing.T, name string, rights []rbacv1.PolicyRule) testenv.Toolbox {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rights}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := c.admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	as := c.as(t, name)
	NewWithT(t).Eventually(func() error { return as.List(context.Background(), &corev1.ServiceList{}) }, 3*time.Minute, 50*time.Millisecond).Should(Succeed())
	return c.tools.As(t, c.environment, envtest.User{Name: name})
}

// tenant is somebody who may read Services in one namespace.
func (c *cluster) tenant(t *testing.T, name, namespace string) testenv.Toolbox {
	t.Helper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"get", "list"}}},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}
	for _, object := range []client.Object{role, binding} {
		if err := c.admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	as := c.as(t, name)
	NewWithT(t).Eventually(func() error {
		return as.List(context.Background(), &corev1.ServiceList{}, client.InNamespace(namespace))
	}, 3*time.Minute, 50*time.Millisecond).Should(Succeed())
	return c.tools.As(t, c.environment, envtest.User{Name: name})
}

// as is the API server to a user.
func (c *cluster) as(t *testing.T, name string) client.Client {
	t.Helper()
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: name}
	as, err := client.New(config, client.Options{Scheme: c.scheme})
	if err != nil {
		t.Fatal(err)
	}
	return as
}

// versions are those of all that lint looks at.
func (c *cluster) versions(t *testing.T) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for _, list := range []client.ObjectList{
		&corev1.ServiceList{}, &corev1.PodList{}, &corev1.EndpointsList{}, &discoveryv1.EndpointSliceList{}, &networkingv1.IPAddressList{}, &corev1.NamespaceList{},
	} {
		if err := c.admin.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		err := eachItem(list, func(object client.Object) {
			versions[object.GetObjectKind().GroupVersionKind().Kind+string(object.GetUID())] = object.GetResourceVersion()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return versions
}

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
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/inventory/usage"
	"switchyard.dev/switchyard/internal/inventory/who"
	"switchyard.dev/switchyard/test/testenv"
)

func eventually(t *testing.T, ask func() error) {
	t.Helper()
	NewWithT(t).Eventually(ask, 3*time.Minute, 50*time.Millisecond).Should(Succeed())
}

// theTools are what people start.
func theTools(t *testing.T, c *cluster) {
	b := testenv.NewToolbox(t).As(t, c.environment, envtest.User{Name: "admin", Groups: []string{"system:masters"}})
	for line, tc := range map[string]struct {
		code int
		want []string
	}{
		"switchyard who 30010":                       {1, []string{"30010 is in conflict", "a/web", "b/same-port", "NumberHeldTwice", "pool", "PortPool full"}},
		"switchyard who 30000 -o yaml":               {0, []string{"state: Free", "range: 30000-30255"}},
		"switchyard who 10.0.1.11":                   {0, []string{"10.0.1.11 is held", "b/full", "spec.clusterIPs[0]", "ServiceCIDR kubernetes"}},
		"switchyard who 10.0.1.60":                   {1, []string{"PlaceholderForNothing"}},
		"switchyard who a/web -o wide":               {1, []string{"Service a/web, NodePort", "10.0.1.10", "30010", "Conflict"}},
		"switchyard who a/rightful":                  {0, []string{"does not exist; numbers are reserved for it", "30050"}},
		"switchyard who a/nobody":                    {2, []string{"there is no Service a/nobody"}},
		"switchyard who -n a web":                    {1, []string{"Service a/web, NodePort"}},
		"switchyard who svc/web":                     {2, []string{"there is no Service web in namespace default, but one in a"}},
		"switchyard __complete who -n b sa":          {0, []string{"same-port\n:4"}},
		"switchyard pools":                           {0, []string{"30000-30255", "ServiceCIDR small", "team-a", "30105-30109 is team-a's", "NodePorts 30000-30255, one a character", "█"}},
		"switchyard pools --ascii -o wide":           {0, []string{"PRIORITY", "team=a", "#"}},
		"switchyard audit":                           {1, []string{"NumberHeldTwice", "-> a/web is the oldest and keeps it", "errors,"}},
		"switchyard audit -o wide":                   {1, []string{"REMEDY"}},
		"kubectl switchyard who 30010":               {1, []string{"30010 is in conflict"}},
		"kubectl switchyard who --help":              {0, []string{"kubectl switchyard who {PORT"}},
		"kubectl switchyard who":                     {2, []string{"`kubectl switchyard who --help` says more"}},
		"kubectl __complete switchyard who b/":       {0, []string{"b/same-port", "b/full"}},
		"kubectl_complete-switchyard who a":          {0, []string{"a/"}},
		"switchyard __complete audit --context=ad":   {0, []string{":4"}},
		"switchyard __complete who switchyard-s":     {0, []string{"switchyard-system/"}},
		"switchyard audit --context nobody":          {2, []string{"context \"nobody\" does not exist"}},
		"switchyard who 30010 --manager-namespace x": {1, []string{"30010 is in conflict"}},
	} {
		stdout, stderr, code := b.Run(t, line)
		if code != tc.code {
			t.Errorf("%s: exit code %d, want %d", line, code, tc.code)
		}
		for _, want := range tc.want {
			if !strings.Contains(stdout+stderr, want) {
				t.Errorf("%s: no %q in\n%s%s", line, want, stdout, stderr)
			}
		}
		t.Logf("$ %s\n%s%s", line, stdout, stderr)
	}
	theFields(t, b)
	nothingChanges(t, c, b)
}

// theFields are for programs, which know no others.
func theFields(t *testing.T, b testenv.Toolbox) {
	t.Helper()
	for line, into := range map[string]any{
		"switchyard audit -o json": &audit.Report{}, "switchyard pools -o json": &usage.Report{},
		"switchyard who 30010 -o json": &who.Answer{}, "switchyard who a/web -o json": &who.ServiceAnswer{},
	} {
		stdout, _, _ := b.Run(t, line)
		decoder := json.NewDecoder(strings.NewReader(stdout))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(into); err != nil {
			t.Errorf("%s: %v\n%s", line, err, stdout)
		}
	}
}

// nothingChanges compares the versions of all objects before and after.
func nothingChanges(t *testing.T, c *cluster, b testenv.Toolbox) {
	t.Helper()
	versions := func() (all []string) {
		x := c.look(t)
		for i := range x.Services {
			all = append(all, inventory.KeyOf(&x.Services[i]).String()+x.Services[i].ResourceVersion)
		}
		for i := range x.IPAddresses {
			all = append(all, x.IPAddresses[i].Name+x.IPAddresses[i].ResourceVersion)
		}
		for i := range x.Claims {
			all = append(all, x.Claims[i].Name+x.Claims[i].ResourceVersion)
		}
		for i := range x.PortPools {
			all = append(all, x.PortPools[i].Name+x.PortPools[i].ResourceVersion)
		}
		return all
	}
	before := versions()
	for _, line := range []string{"switchyard audit", "switchyard pools", "switchyard who 30010"} {
		b.Run(t, line)
	}
	if after := versions(); !slices.Equal(before, after) {
		t.Errorf("something was written:\nbefore %v\nafter  %v", before, after)
	}
}

// withoutRights is a user who may list Services only.
func withoutRights(t *testing.T, c *cluster) {
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "reader"}
	reader, err := client.New(config, client.Options{Scheme: c.scheme})
	if err != nil {
		t.Fatal(err)
	}
	nodePorts := inventory.LearnNodePorts(t.Context(), inventory.Flagz(config), reader, system)
	if nodePorts.From != inventory.Assumed {
		t.Errorf("the range is known from %s to who may not look", nodePorts.From)
	}
	_, err = inventory.Read(t.Context(), reader, system, nodePorts)
	if err == nil || !strings.Contains(err.Error(), "you may not list Services: ask for a role") {
		t.Fatalf("error %v of who may list nothing", err)
	}
	c.create(t, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "services"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list"}}},
	}, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "services"}, RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "services"},
		Subjects: []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: "reader"}},
	})
	eventually(t, func() error {
		return reader.List(context.Background(), &corev1.ServiceList{})
	})
	inv, err := inventory.Read(t.Context(), reader, system, nodePorts)
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Unread) != 8 {
		t.Errorf("not read: %v", inv.Unread)
	}
	report := audit.Run(inv.Index(), time.Now().Add(time.Hour))
	for _, f := range report.Findings {
		if f.Kind != audit.NumberHeldTwice && f.Kind != audit.FrontendHeldTwice {
			t.Errorf("with Services alone it finds %s of %s", f.Kind, audit.Texts(f.Objects))
		}
	}
	if len(report.Findings) != 3 {
		t.Errorf("with Services alone it finds %v", told(report))
	}
}

// inOneNamespace is a user with rights in one namespace.
func inOneNamespace(t *testing.T, c *cluster) {
	c.create(t, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "tenant"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list"}}},
	}, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "tenant"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "tenant"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "tenant"}},
	})
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "tenant"}
	tenant, err := client.New(config, client.Options{Scheme: c.scheme})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return tenant.List(context.Background(), &corev1.ServiceList{}, client.InNamespace("a")) })
	b := testenv.NewToolbox(t).As(t, c.environment, envtest.User{Name: "tenant"})
	for line, tc := range map[string]struct {
		code int
		want []string
	}{
		"switchyard who a/web": {0, []string{
			"Service a/web, NodePort", "10.0.1.10", "30010", "you may not list Services of all namespaces, so only those of a count",
			"you may not list AddressPools, AddressReservations, IPAddresses,",
		}},
		"switchyard who -n a web -o json": {0, []string{`"reason": "Forbidden"`, `"freeNearby": []`}},
		"switchyard who b/same-port":      {2, []string{"you may not list Services, those of namespace b neither: ask for a role"}},
		"switchyard who 30010":            {2, []string{"you may not list Services, those of namespace default neither", "name with -n a namespace"}},
		"switchyard who -n a 30010":       {0, []string{"30010 is held\n", "a/web", "so only those of a count"}},
		"switchyard who -n a 30000": {2, []string{
			"30000 is held by no Service that you may list, and perhaps by another", "so only those of a count", "in other namespaces could not be read",
		}},
		"switchyard audit":      {2, []string{"you may not list Services, those of namespace default neither", "name with -n a namespace"}},
		"switchyard audit -n a": {2, []string{"so only those of a count", "Nothing is wrong with what could be read.", "not all could be checked"}},
		"switchyard pools":      {2, []string{"you may not list Services: ask for a role"}},
	} {
		stdout, stderr, code := b.Run(t, line)
		if code != tc.code {
			t.Errorf("%s: exit code %d, want %d", line, code, tc.code)
		}
		for _, want := range tc.want {
			if !strings.Contains(stdout+stderr, want) {
				t.Errorf("%s: no %q in\n%s%s", line, want, stdout, stderr)
			}
		}
	}
}

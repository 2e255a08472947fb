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

package security

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"switchyard.dev/switchyard/test/testenv"
	"switchyard.dev/switchyard/test/testenv/rights"
)

// files are the roles of each program's account.
var files = map[string][]string{
	"manager": {"rbac/role.yaml", "rbac/leader_election_role.yaml", "rbac/metrics_auth_role.yaml"},
	"node":    {"node/rbac/role.yaml"},
	"dns":     {"dns/role.yaml"},
}

// TestEachRightIsUsed compares the roles with the rights that suites use, as audit
// logs of their API servers tell: testdata/used.txt names the suite, which fails if it
// uses one no more (package rights). What none uses has a reason in testdata/unused.txt.
func TestEachRightIsUsed(t *testing.T) {
	used, reasons := read(t, "used.txt"), read(t, "unused.txt")
	for right, suite := range used {
		if source := testenv.TestSources(t, suite); !strings.Contains(source, `"`+suite+`"`) || !strings.Contains(source, "rights.") {
			t.Errorf("%s: %q is no suite that looks whether it is used", right, suite)
		}
	}
	given := map[string]bool{}
	for program := range files {
		for _, rule := range rules(t, program) {
			for _, right := range linesOf(program, rule) {
				given[right] = true
			}
		}
	}
	for right := range given {
		_, isUsed := used[right]
		reason, hasReason := reasons[right]
		switch {
		case !isUsed && !hasReason:
			t.Errorf("%s: no test uses this right; take it from the role, or give a reason in testdata/unused.txt", right)
		case isUsed && hasReason:
			t.Errorf("%s: it is used, and yet has a reason for not being", right)
		case hasReason && reason == "":
			t.Errorf("%s: the reason is empty", right)
		}
	}
	for right := range reasons {
		if !given[right] {
			t.Errorf("%s: no role gives this right", right)
		}
	}
	missing := []string{}
	for right := range used {
		if !given[right] {
			missing = append(missing, right)
		}
	}
	if diff := cmp.Diff([]string{}, missing); diff != "" {
		t.Errorf("used, and in no role:\n%s", diff)
	}
}

// TestNoRoleIsAWayToMore: whoever holds a token of ours has no right by which to get
// others.
func TestNoRoleIsAWayToMore(t *testing.T) {
	// Rights that lead to others, with the verbs that do.
	ways := map[string][]string{
		"pods": {"create", "update", "patch"}, "pods/exec": {"create", "get"}, "pods/ephemeralcontainers": {"update", "patch"},
		"deployments": {"create", "update", "patch"}, "daemonsets": {"create", "update", "patch"},
		"serviceaccounts/token": {"create"}, "nodes/proxy": {"get", "create"}, "nodes": {"update", "patch", "delete"}, "nodes/status": {"update", "patch"},
		"namespaces": {"update", "patch", "create", "delete"}, "certificatesigningrequests": {"create"}, "customresourcedefinitions": {"update", "patch"},
		"validatingadmissionpolicies": {"update", "patch", "delete"}, "services": {"update", "patch"},
	}
	named := []string{"secrets", "validatingwebhookconfigurations", "mutatingwebhookconfigurations"}
	for program := range files {
		for _, rule := range rules(t, program) {
			for _, verb := range rule.Verbs {
				if slices.Contains([]string{"*", "escalate", "bind", "impersonate", "deletecollection"}, verb) {
					t.Errorf("%s: %v may be had by %s", program, rule.Resources, verb)
				}
				for _, resource := range rule.Resources {
					if resource == "*" || slices.Contains(ways[resource], verb) || strings.HasPrefix(resource, "role") || strings.HasPrefix(resource, "clusterrole") {
						t.Errorf("%s: the right to %s %s leads to others", program, verb, resource)
					}
					if slices.Contains(named, resource) && verb != "create" && len(rule.ResourceNames) == 0 {
						t.Errorf("%s: the right to %s %s is for all of them", program, verb, resource)
					}
					if program != "manager" && resource == "secrets" {
						t.Errorf("%s: there is a right to Secrets", program)
					}
					if resource == "endpointslices" && verb != "get" && verb != "list" && verb != "watch" && role(t, program, rule) != "manager-endpoints-role" {
						t.Errorf("%s: whoever may %s EndpointSlices sends clients anywhere", program, verb)
					}
				}
			}
		}
	}
}

func rules(t *testing.T, program string) []rbacv1.PolicyRule {
	t.Helper()
	var all []rbacv1.PolicyRule
	for _, r := range roles(t, program) {
		all = append(all, r.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rights", program)
	}
	return all
}

// role is the name of the one that has the rule.
func role(t *testing.T, program string, rule rbacv1.PolicyRule) string {
	t.Helper()
	for _, r := range roles(t, program) {
		if slices.ContainsFunc(r.Rules, func(other rbacv1.PolicyRule) bool { return other.String() == rule.String() }) {
			return r.Name
		}
	}
	return ""
}

func roles(t *testing.T, program string) []rbacv1.ClusterRole {
	t.Helper()
	var all []rbacv1.ClusterRole
	for _, file := range files[program] {
		text, err := os.ReadFile(filepath.Join(testenv.Root(), "config", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var r rbacv1.ClusterRole
			if err := yaml.Unmarshal([]byte(document), &r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
	}
	return all
}

// linesOf are the lines of testdata that a rule stands for.
func linesOf(program string, rule rbacv1.PolicyRule) []string {
	var all []string
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				all = append(all, rights.Right(program, group, resource, verb))
			}
		}
	}
	return all
}

func read(t *testing.T, name string) map[string]string {
	t.Helper()
	all, err := rights.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

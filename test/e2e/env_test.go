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
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// environmentManifest has an ordinary Service with named ports, one that gives
// a variable of it another value, and one that gives none.
const environmentManifest = `
apiVersion: v1
kind: Namespace
metadata: {name: environment}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: environment}
spec:
  ports: [{name: http, port: 80}, {name: dns-udp, port: 53, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: web-service, namespace: environment}
spec:
  ports: [{port: 81}]
---
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: environment}
spec:
  clusterIP: None
  ports: [{port: 82}]
`

const environmentPod = `
apiVersion: v1
kind: Pod
metadata: {name: reader, namespace: environment}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [netexec, --http-port=80]
    env: [{name: WEB_SERVICE_PORT_HTTP, value: mine}]
`

// apply creates or changes what a manifest says of a namespace.
func apply(t *testing.T, namespace, manifest string) {
	t.Helper()
	cmd := kubectl(t.Context(), t, "apply", "-n", namespace, "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply: %v: %s", err, out)
	}
}

// askedEnvironment is what `switchyard env -o json` says.
type askedEnvironment struct {
	Variables []struct{ Name, Value, Service string }
	Findings  []struct{ Kind, Message string }
}

func askEnvironment(t *testing.T, wantCode int, args ...string) askedEnvironment {
	t.Helper()
	out, problems, code := cli(t, append([]string{"env", "-o", "json"}, args...)...)
	var asked askedEnvironment
	if err := json.Unmarshal([]byte(out), &asked); err != nil || code != wantCode {
		t.Fatalf("switchyard env %v: exit code %d, want %d, %v: %s%s", args, code, wantCode, err, out, problems)
	}
	return asked
}

func (e askedEnvironment) kinds() (kinds []string) {
	for _, f := range e.Findings {
		kinds = append(kinds, f.Kind)
	}
	return kinds
}

func TestEnvSaysWhatAPodGets(t *testing.T) {
	needCluster(t)
	apply(t, "environment", environmentManifest)
	defer output(t, "delete", "namespace", "environment", "--wait=false")
	asked := askEnvironment(t, 1, "environment")
	if !slices.Equal(asked.kinds(), []string{"Collision"}) || !strings.HasPrefix(asked.Findings[0].Message, "WEB_SERVICE_PORT is 80 of Service web or tcp://") {
		t.Errorf("findings: %+v", asked.Findings)
	}

	apply(t, "environment", environmentPod)
	output(t, "wait", "-n", "environment", "--for=condition=Ready", "pod/reader", waitFor)
	has := variablesIn(output(t, "exec", "-n", "environment", "reader", "--", "env"))
	said := map[string][]string{}
	for _, v := range asked.Variables {
		said[v.Name] = append(said[v.Name], v.Value)
	}
	for name, values := range said {
		if name == "WEB_SERVICE_PORT_HTTP" {
			values = []string{"mine"}
		}
		if !slices.Contains(values, has[name]) {
			t.Errorf("%s is %q in the pod, and should be %q", name, has[name], values)
		}
	}
	for name := range has {
		if (strings.HasPrefix(name, "WEB_") || strings.HasPrefix(name, "KUBERNETES_") || strings.HasPrefix(name, "HEADLESS_")) && said[name] == nil {
			t.Errorf("the pod has %s, which was not said", name)
		}
	}

	// What is made after a container has started is not in it until it starts again.
	// Both times are in whole seconds.
	await(t, func() error {
		started := output(t, "get", "-n", "environment", "pod", "reader", "-o", "jsonpath={.status.containerStatuses[0].state.running.startedAt}")
		at, err := time.Parse(time.RFC3339, started)
		if err == nil && time.Now().Unix() <= at.Unix() {
			err = errors.New("the second in which the container started is not over")
		}
		return err
	})
	apply(t, "environment", "{apiVersion: v1, kind: Service, metadata: {name: 1late, namespace: environment}, spec: {ports: [{port: 1}]}}")
	want := []string{"Collision", "NoShellName", "Overridden", "NotYet"}
	if pod := askEnvironment(t, 1, "environment", "--pod", "reader"); !slices.Equal(pod.kinds(), want) {
		t.Errorf("findings of the pod: %+v, want %v", pod.Findings, want)
	} else if slices.ContainsFunc(pod.Variables, func(v struct{ Name, Value, Service string }) bool { return v.Name == "WEB_SERVICE_PORT_HTTP" }) {
		t.Error("a variable that the container sets itself is shown as a Service's")
	}
}

func variablesIn(env string) map[string]string {
	variables := map[string]string{}
	for line := range strings.Lines(env) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		variables[name] = value
	}
	return variables
}

func TestEnvForPeopleAndItsErrors(t *testing.T) {
	needCluster(t)
	out, problems, code := cli(t, "env", "default")
	if code != 0 || problems != "" || !strings.Contains(out, "\nKUBERNETES_SERVICE_PORT_HTTPS=443\n") {
		t.Errorf("exit code %d: %s%s", code, out, problems)
	}
	wide, _, _ := cli(t, "env", "default", "-o", "wide")
	if !strings.HasPrefix(wide, "NAME ") || !strings.Contains(wide, "default/kubernetes") {
		t.Errorf("wide: %s", wide)
	}
	for _, tc := range []struct {
		want string
		args []string
	}{
		{"there is no namespace nowhere\n", []string{"nowhere"}},
		{"there is no pod default/nobody\n", []string{"default", "--pod", "nobody"}},
		{"want one NAMESPACE, got 0 arguments", nil},
		{`unknown output format "text"`, []string{"default", "-o", "text"}},
	} {
		out, problems, code := cli(t, append([]string{"env"}, tc.args...)...)
		if code != 2 || out != "" || !strings.Contains(problems, tc.want) {
			t.Errorf("switchyard env %v: exit code %d, want %q: %s%s", tc.args, code, tc.want, out, problems)
		}
	}
}

// A user of one namespace is told what he could not be shown.
func TestEnvWithRightsInOneNamespace(t *testing.T) {
	needCluster(t)
	output(t, "create", "serviceaccount", "lone", "-n", "demo")
	output(t, "create", "rolebinding", "lone", "-n", "demo", "--clusterrole=view", "--serviceaccount=demo:lone")
	defer output(t, "delete", "rolebinding/lone", "serviceaccount/lone", "-n", "demo")
	kubeconfig := kubeconfigOf(t, "lone")
	var out, problems string
	await(t, func() error { // The API server's RBAC follows by a watch.
		var code int
		if out, problems, code = cli(t, "env", "demo", "--kubeconfig", kubeconfig); code != 0 {
			return fmt.Errorf("exit code %d: %s%s", code, out, problems)
		}
		return nil
	})
	if !strings.Contains(out, "FRONT_SERVICE_HOST=") || strings.Contains(out, "KUBERNETES_") {
		t.Errorf("variables: %s", out)
	}
	if !strings.Contains(problems, "you may not read Service default/kubernetes") {
		t.Errorf("nothing is said of what is missing: %s", problems)
	}
}

// kubeconfigOf is a file with which a ServiceAccount of the namespace demo asks.
func kubeconfigOf(t *testing.T, account string) string {
	t.Helper()
	admin, err := cluster.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(admin)
	if err != nil {
		t.Fatal(err)
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: output(t, "create", "token", account, "-n", "demo")}
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

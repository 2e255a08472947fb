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
	"archive/tar"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"switchyard.dev/switchyard/test/testenv"
)

// planted is what must be in no archive; everything else below it is what may be.
const planted = "hunter2-Zx81-Spectrum"

// secrets are planted where people put them, with something beside each that shows
// that the place was read.
const secrets = `
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: switchyard-system}
stringData: {password: SECRET, other: beside-a-secret}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: of-others, namespace: switchyard-system}
data: {anything: SECRET}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: of-ours, namespace: switchyard-system, labels: {app.kubernetes.io/name: switchyard}}
data: {settings: "password: SECRET\nbeside: beside-a-setting\n"}
---
apiVersion: v1
kind: Service
metadata:
  name: noted
  namespace: demo
  annotations:
    example.com/anything: SECRET
    kubectl.kubernetes.io/last-applied-configuration: '{"metadata":{"x":"SECRET"}}'
    beside.kubernetes.io/url: "https://me:SECRET@beside-an-annotation.example.com/"
    beside.kubernetes.io/quoted: '{"token":"SECRET","beside":"beside-a-token"}'
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: talkative
  namespace: switchyard-system
  annotations: {switchyard.dev/run-local: "true", example.com/anything: SECRET}
spec:
  containers:
  - name: c
    image: any
    command: [sh, -c, 'echo "Authorization: Bearer $ANYTHING"; echo "login password=$ANYTHING user=beside-a-password"; echo "GET https://u:$ANYTHING@h/"; exec sleep 600', --token, SECRET]
    env: [{name: ANYTHING, value: SECRET}, {name: NODE_NAME, value: beside-a-variable}]
`

func TestABugReportHasNoSecretsAndSaysWhatItHas(t *testing.T) {
	needCluster(t)
	manifests := strings.ReplaceAll(secrets, "SECRET", planted)
	create := kubectl(t.Context(), t, "create", "--namespace=", "-f", "-")
	create.Stdin = strings.NewReader(manifests)
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		remove := kubectl(context.Background(), t, "delete", "--namespace=", "--ignore-not-found", "--now", "-f", "-")
		remove.Stdin = strings.NewReader(manifests)
		if out, err := remove.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	await(t, func() error { // which the pod may not have begun with
		log, err := kubectl(t.Context(), t, "-n", "switchyard-system", "logs", "talkative").CombinedOutput()
		if err == nil && !strings.Contains(string(log), "GET") {
			err = errors.New("the pod has not said all")
		}
		return err
	})
	file := filepath.Join(t.TempDir(), "report.tar.gz")
	out, problems, code := cli(t, "bug-report", "-o", file)
	if code != 0 {
		t.Fatalf("exit code %d: %s%s", code, out, problems)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	entries := unpacked(t, file)
	noSecret(t, entries, out)
	all := strings.Join(texts(entries), "\n")
	for _, want := range []string{
		"beside-a-setting", "beside-an-annotation", "beside-a-token", "beside-a-password", "beside-a-variable", "chain nat-prerouting",
		"switchyard_node_service_ports", "\"name\": \"noted\"", "switchyard-validating-webhook-configuration",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("it lacks %s", want)
		}
	}
	if strings.Contains(all, "beside-a-secret") || strings.Contains(all, "of-others") {
		t.Error("it has a Secret or a ConfigMap of others")
	}
	for name := range entries {
		if name != "MANIFEST.txt" && (!strings.Contains(entries["MANIFEST.txt"], name+" ") || !strings.Contains(out, name+" ")) {
			t.Errorf("%s is not listed", name)
		}
	}
	if _, problems, code := cli(t, "bug-report", "-o", file); code != 2 || !strings.Contains(problems, "is there already") {
		t.Errorf("a second one over it: exit code %d: %s", code, problems)
	}
}

func TestABugReportWithoutNames(t *testing.T) {
	needCluster(t)
	plant := func(command ...string) {
		c := kubectl(context.Background(), t, append(command, "--namespace=", "-f", "-")...)
		c.Stdin = strings.NewReader(reserved)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	plant("create")
	t.Cleanup(func() { plant("delete", "--ignore-not-found") })
	file := filepath.Join(t.TempDir(), "report.tar.gz")
	if out, problems, code := cli(t, "bug-report", "-n", "demo", "--redact-names", "-o", file); code != 0 {
		t.Fatalf("exit code %d: %s%s", code, out, problems)
	}
	entries := unpacked(t, file)
	names := append(namesOfAll(t), "not-yet-there")
	for _, known := range []string{"three-ports", "node-1", "demo", "spare"} {
		if !slices.Contains(names, known) {
			t.Errorf("nothing is called %s, so that nobody can look for it: %v", known, names)
		}
	}
	services := entries["objects/services.json"]
	// What fields are called stays: a namespace, or a pool, may be called as one is.
	for name, text := range entries {
		if strings.HasSuffix(name, ".json") {
			entries[name] = field.ReplaceAllString(text, "")
		}
	}
	for _, secret := range names {
		word := regexp.MustCompile(`(^|[^A-Za-z0-9])` + regexp.QuoteMeta(secret) + `($|[^A-Za-z0-9])`)
		for name, text := range entries {
			if at := word.FindStringIndex(text); at != nil {
				t.Errorf("%s has the name %s: %s", name, secret, text[max(0, at[0]-60):min(len(text), at[1]+20)])
			}
			if word.MatchString(name) {
				t.Errorf("the name of %s has %s", name, secret)
			}
		}
	}
	if strings.Count(services, `"name": "name-`) < 3 || strings.Contains(services, `"kube-dns"`) {
		t.Errorf("Services of the namespace, without names: %s", services)
	}
}

// field is the name of a field of a document.
var field = regexp.MustCompile(`"[A-Za-z]\w*":`)

// reserved are planted to be looked for beside what the demo has. Their ports are of
// the static band (KEP-3668), which Services that ask for none get last.
const reserved = `
apiVersion: switchyard.dev/v1alpha1
kind: PortPool
metadata: {name: spare}
spec: {ranges: ["30070-30079"], autoAssign: false}
---
apiVersion: switchyard.dev/v1alpha1
kind: PortReservation
metadata: {name: "30075"}
spec: {serviceRef: {namespace: demo, name: not-yet-there}}
`

// namesOfAll are the names that are to be replaced, without those that everybody has.
// Reservations are called as their numbers and addresses, which stay.
func namesOfAll(t *testing.T) (names []string) {
	t.Helper()
	common := []string{"default", "kube-system", "kube-public", "kube-node-lease", "kubernetes", "kube-dns", "coredns", "dns", "metrics", "http", "https"}
	for line := range strings.Lines(output(t, "get", "-A", "namespaces,nodes,services,pods,portpools,addresspools", "-o", "name")) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), "/")
		if !slices.Contains(common, name) && !strings.HasPrefix(name, "switchyard-") {
			names = append(names, name)
		}
	}
	return names
}

// noSecret looks through all bytes for what was planted, as it is and in base64.
func noSecret(t *testing.T, entries map[string]string, more ...string) {
	t.Helper()
	forms := []string{planted}
	for offset := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", offset) + planted))
		forms = append(forms, encoded[4:len(encoded)-4])
	}
	for _, form := range forms {
		for name, text := range entries {
			if at := strings.Index(text, form); at >= 0 {
				t.Errorf("%s has it: %s", name, text[max(0, at-60):at+len(form)])
			}
			if strings.Contains(name, form) {
				t.Errorf("a name has it: %s", name)
			}
		}
		for _, text := range more {
			if strings.Contains(text, form) {
				t.Error("what is printed has it")
			}
		}
	}
}

// unpacked are the entries of an archive without their folder.
func unpacked(t *testing.T, file string) map[string]string {
	t.Helper()
	packed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]string{}
	testenv.Untar(t, packed, func(header *tar.Header, text string) {
		_, name, _ := strings.Cut(header.Name, "/")
		entries[name] = text
	})
	return entries
}

func texts(entries map[string]string) (all []string) {
	for _, text := range entries {
		all = append(all, text)
	}
	return all
}

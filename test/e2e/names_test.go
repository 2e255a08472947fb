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
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"switchyard.dev/switchyard/internal/demo"
	"switchyard.dev/switchyard/internal/localcluster/layout"
	"switchyard.dev/switchyard/internal/resolve"
)

// namesManifest has a Service of each kind, and headless ones whose endpoints
// have a name of their own, have none, differ in the number of a port, and are
// not ready.
const namesManifest = `
apiVersion: v1
kind: Namespace
metadata: {name: names}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: names}
spec:
  ipFamilyPolicy: RequireDualStack
  ports: [{name: http, port: 80}, {name: dns-udp, port: 5353, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: names}
spec:
  ports: [{port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: names}
spec:
  clusterIP: None
  ipFamilyPolicy: RequireDualStack
  selector: {app: db}
  ports: [{name: sql, port: 5000, targetPort: sql}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: names}
spec:
  clusterIP: None
  selector: {app: nobody}
  ports: [{name: sql, port: 5000}]
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: names}
spec:
  type: ExternalName
  externalName: web.names.svc.cluster.local
  ports: [{name: http, port: 80}]
---
apiVersion: v1
kind: Pod
metadata: {name: one, namespace: names, labels: {app: db}}
spec:
  hostname: first
  subdomain: db
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: any, ports: [{name: sql, containerPort: 5001}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: two, namespace: names, labels: {app: db}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: any, ports: [{name: sql, containerPort: 5002}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: ill, namespace: names, labels: {app: db}}
spec:
  hostname: ill
  subdomain: db
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: any
    ports: [{name: sql, containerPort: 5003}]
    readinessProbe: {httpGet: {path: /ready, port: 9}, periodSeconds: 1}
`

// namesRow is a question, and all of its answer that counts: NXDOMAIN, NODATA,
// or records of that type.
type namesRow struct {
	name, kind string
	want       []string
}

// TestNamesThroughTheServiceOfTheDNS asks for each row of the specification from
// a pod, at both addresses of the DNS Service, over UDP and TCP.
func TestNamesThroughTheServiceOfTheDNS(t *testing.T) {
	needCluster(t)
	apply(t, "names", namesManifest)
	defer output(t, "delete", "namespace", "names", "--wait=false")
	output(t, "wait", "-n", "names", "--for=condition=Ready", "pod/one", "pod/two", waitFor)
	rows := namesRows(t)
	for _, server := range layout.DNSAddrs() {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(fmt.Sprintf("%s %s", server, network), func(t *testing.T) {
				await(t, func() error {
					var errs []error
					for title, rows := range rows {
						for _, row := range rows {
							if diff := row.differs(t, server.String(), network); diff != "" {
								errs = append(errs, fmt.Errorf("%s: %s %s (-want +got):\n%s", title, row.kind, row.name, diff))
							}
						}
					}
					return errors.Join(errs...)
				})
			})
		}
	}
}

// TestNamesAreAskedForFromTheMachine asks where nothing of the cluster is, neither
// its resolv.conf nor a way to its DNS Service.
func TestNamesAreAskedForFromTheMachine(t *testing.T) {
	needCluster(t)
	cmd := exec.CommandContext(t.Context(), switchyard(), "resolve", "-o", "json", "-n", "default", "kubernetes")
	cmd.Env = append(os.Environ(), "SWITCHYARD_STATE="+cluster.State())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers []resolve.Answer
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(answers) != 1 || !answers[0].Found() || answers[0].Records[0].Name != "kubernetes.default.svc.cluster.local." {
		t.Errorf("kubernetes, in namespace default, is %s", out)
	}
}

func (r namesRow) differs(t *testing.T, server, network string) string {
	t.Helper()
	answer, err := lookUp(t, demo.Place{Namespace: "names", Pod: "two"}, server, network, r.name, r.kind)
	if err != nil {
		return err.Error()
	}
	if answer.Network != network {
		return "asked over " + answer.Network
	}
	if !answer.Found() {
		if answer.DeniedFor != 5 { // the TTL, also of what is not there: D12
			return fmt.Sprintf("denied for %d s, want 5", answer.DeniedFor)
		}
		return cmp.Diff(r.want, []string{answer.Code})
	}
	var got []string
	for _, record := range answer.Records {
		if record.Type == r.kind {
			got = append(got, record.Data)
		}
		if record.TTL != 5 && r.kind != "TXT" { // the version's is long: it does not change
			return fmt.Sprintf("TTL %d, want 5", record.TTL)
		}
	}
	slices.Sort(got)
	slices.Sort(r.want)
	return cmp.Diff(r.want, got)
}

// lookUp asks one server for one name, from there.
func lookUp(t *testing.T, from demo.Place, server, network, name, kind string) (resolve.Answer, error) {
	t.Helper()
	args := []string{switchyard(), "resolve", "-o", "json", "--server", server, "--type", kind, name}
	if network == "tcp" {
		args = append(args, "--tcp")
	}
	cmd, err := bed.Command(t.Context(), from, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return resolve.Answer{}, err
	}
	var answers []resolve.Answer
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) == 0 {
		return resolve.Answer{}, fmt.Errorf("%q: %w", out, err)
	}
	return answers[len(answers)-1], nil
}

func namesRows(t *testing.T) map[string][]namesRow {
	t.Helper()
	web, plain := fields(t, "service/web", "{.spec.clusterIPs[*]}"), fields(t, "service/plain", "{.spec.clusterIPs[*]}")
	one, two, ill := fields(t, "pod/one", "{.status.podIPs[*].ip}"), fields(t, "pod/two", "{.status.podIPs[*].ip}"), fields(t, "pod/ill", "{.status.podIPs[*].ip}")
	const ns, zone = "names.svc.cluster.local.", "cluster.local."
	dashed := []string{strings.ReplaceAll(two[0], ".", "-"), strings.ReplaceAll(two[1], ":", "-")}
	nodata, nxdomain := []string{resolve.NoData}, []string{"NXDOMAIN"}
	return map[string][]namesRow{
		"D1": {{"dns-version." + zone, "TXT", []string{`"1.1.0"`}}},
		"D2": {{"web." + ns, "A", web[:1]}, {"web." + ns, "AAAA", web[1:]}, {"WEB.Names.svc.CLUSTER.local.", "A", web[:1]}},
		"D3": {
			{"_http._tcp.web." + ns, "SRV", []string{"0 50 80 web." + ns}}, {"_dns-udp._udp.web." + ns, "SRV", []string{"0 50 5353 web." + ns}},
			{"_http._udp.web." + ns, "SRV", nxdomain}, {"plain." + ns, "A", plain[:1]}, {"_http._tcp.plain." + ns, "SRV", nxdomain},
		},
		"D4": {{web[0], "PTR", []string{"web." + ns}}, {web[1], "PTR", []string{"web." + ns}}},
		"D5": {
			{"db." + ns, "A", []string{one[0], two[0]}}, {"db." + ns, "AAAA", []string{one[1], two[1]}},
			{"nobody." + ns, "A", nxdomain}, {"ill.db." + ns, "A", nxdomain},
		},
		"D6": {
			{"first.db." + ns, "A", one[:1]}, {"first.db." + ns, "AAAA", one[1:]},
			{dashed[0] + ".db." + ns, "A", two[:1]}, {dashed[1] + ".db." + ns, "AAAA", two[1:]},
		},
		"D7": {{"_sql._tcp.db." + ns, "SRV", []string{
			"0 25 5001 first.db." + ns, "0 25 5002 " + dashed[0] + ".db." + ns, "0 25 5002 " + dashed[1] + ".db." + ns,
		}}},
		"D8": {
			{one[0], "PTR", []string{"first.db." + ns}}, {one[1], "PTR", []string{"first.db." + ns}},
			{two[0], "PTR", []string{dashed[0] + ".db." + ns}}, {ill[0], "PTR", nxdomain},
		},
		"D9": {
			{"alias." + ns, "CNAME", []string{"web." + ns}}, {"alias." + ns, "A", web[:1]},
			{"_http._tcp.alias." + ns, "SRV", nxdomain}, {"x.alias." + ns, "A", nxdomain},
		},
		"D10": {
			{"web." + ns, "TXT", nodata}, {"plain." + ns, "AAAA", nodata}, {"missing." + ns, "A", nxdomain},
			{"web.missing.svc." + zone, "A", nxdomain}, {"svc." + zone, "A", nodata}, {ns, "A", nodata},
		},
	}
}

// fields are the words of a JSONPath of an object of the namespace.
func fields(t *testing.T, object, path string) []string {
	t.Helper()
	var words []string
	await(t, func() error {
		words = strings.Fields(output(t, "get", "-n", "names", object, "-o", "jsonpath="+path))
		if len(words) == 0 {
			return fmt.Errorf("%s has no %s", object, path)
		}
		return nil
	})
	return words
}

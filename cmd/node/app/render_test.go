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

package app

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	"switchyard.dev/switchyard/internal/dataplane/agent"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/render"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/test/prereq"
)

// manifests have something of everything, for a node of two families.
const manifests = `
apiVersion: v1
kind: Node
metadata: {name: node-1, labels: {topology.kubernetes.io/zone: a}}
spec: {podCIDRs: [10.244.1.0/24, "fd00:10:244:1::/64"]}
status: {addresses: [{type: InternalIP, address: 172.30.0.11}, {type: InternalIP, address: "fd00:30::11"}]}
---
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: kubernetes}
spec: {cidrs: [10.96.0.0/16, "fd00:10:96::/112"]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10, "fd00:10:96::10"]
  externalIPs: [198.51.100.7]
  sessionAffinity: ClientIP
  externalTrafficPolicy: Local
  loadBalancerSourceRanges: [240.1.0.0/16, "100::/64"] # no machine has an address in them
  ports:
  - {name: http, port: 80, nodePort: 30080}
  - {name: dns, port: 53, nodePort: 30053, protocol: UDP}
status: {loadBalancer: {ingress: [{ip: 203.0.113.9}, {ip: "2001:db8:1::9"}]}}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {clusterIP: 10.96.0.11, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-4, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: dns, port: 5353, protocol: UDP}]
endpoints:
- {addresses: [10.244.1.2], nodeName: node-1, hints: {forZones: [{name: a}]}}
- {addresses: [10.244.1.3], nodeName: node-1, hints: {forZones: [{name: a}]}}
- {addresses: [10.244.2.2], nodeName: node-2, hints: {forZones: [{name: b}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-6, labels: {kubernetes.io/service-name: web}}
addressType: IPv6
ports: [{name: http, port: 8080}, {name: dns, port: 5353, protocol: UDP}]
endpoints: [{addresses: ["fd00:10:244:1::2"], nodeName: node-1}]
`

func TestWhatIsRenderedIsWhatTheAgentPrograms(t *testing.T) {
	prereq.Root(t)
	for name, args := range map[string][]string{
		"like kube-proxy": {"--detect-local-mode=NodeCIDR", "--nodeport-addresses=172.30.0.0/16,primary"},
		"every option": {"--detect-local-mode=InterfaceNamePrefix", "--pod-interface-name-prefix=veth", "--masquerade-all",
			"--answer-echo", "--nodeports-on-localhost", "--count-connections", "--reject-without-local-endpoints",
			"--source-ranges-cover-nodeports"},
	} {
		t.Run(name, func(t *testing.T) { compareRendered(t, args) })
	}
}

func compareRendered(t *testing.T, renderArgs []string) {
	t.Helper()
	nft := prereq.Tool(t, "nft", "nftables")
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := Main(append([]string{"render", "-f", file}, renderArgs...), &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Fatalf("exit code %d, said %q", code, &stderr)
	}
	loaded, programmed := newNamespace(t), newNamespace(t)
	runIn(t, loaded, stdout.String(), nft, "-f", "-")
	program(t, programmed, renderArgs)
	for _, family := range []string{"ip", "ip6"} {
		want := runIn(t, programmed, "", nft, "list", "table", family, "switchyard")
		got := runIn(t, loaded, "", nft, "list", "table", family, "switchyard")
		if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s: tables (-agent +rendered):\n%s", family, diff)
		}
		if !strings.Contains(want, "8080") {
			t.Errorf("%s: the agent programmed no endpoint", family)
		}
	}
}

func newNamespace(t *testing.T) *netns.Namespace {
	t.Helper()
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	return ns
}

func runIn(t *testing.T, ns *netns.Namespace, stdin, program string, args ...string) (out string) {
	t.Helper()
	err := ns.Do(func() error {
		command := exec.Command(program, args...)
		command.Stdin = strings.NewReader(stdin)
		text, err := command.CombinedOutput()
		out = string(text)
		return err
	})
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

// program runs the agent in ns, on a cluster of the manifests, until it is done
// once.
func program(t *testing.T, ns *netns.Namespace, args []string) {
	t.Helper()
	r, err := resolve(append([]string{"--protect-table=off"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	options, err := r.options.node()
	if err != nil {
		t.Fatal(err)
	}
	var k kernel
	if err := ns.Do(func() error {
		k, err = openKernel(t.Context(), r.options, nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer k.close()
	state := health.NewState(health.Patience, k.families...)
	client := fake.NewClientset(objects(t)...)
	programmer := agent.New(agent.Config{
		NodeName: "node-1", Client: client, Recorder: record.NewFakeRecorder(10), Announcer: agent.NewOnceForAll(client, component),
		Tables: k.tables, Sweepers: k.sweepers, Watcher: k.watcher, Checks: noChecks{},
		Node: options, State: state, Metrics: health.NewMetrics("test"),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- programmer.Run(ctx) }()
	for deadline := time.Now().Add(time.Minute); !state.Ready(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for the first sync")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// noChecks opens no port in the namespace of the test.
type noChecks struct{}

func (noChecks) Sync(model.Family, []health.ServiceCheck, []netip.Addr) []*health.CheckError {
	return nil
}

func objects(t *testing.T) []runtime.Object {
	t.Helper()
	d := render.NewDecoder()
	if err := d.Read("manifests", strings.NewReader(manifests)); err != nil {
		t.Fatal(err)
	}
	var list []runtime.Object
	for _, o := range d.Objects.Services {
		list = append(list, o)
	}
	for _, o := range d.Objects.EndpointSlices {
		list = append(list, o)
	}
	for _, o := range d.Objects.Nodes {
		list = append(list, o)
	}
	for _, o := range d.Objects.ServiceCIDRs {
		list = append(list, o)
	}
	return list
}

func TestRenderingSaysWhatItNeeds(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"nothing to read":    {nil, "give manifests with -f, or an API server: this is not a pod of a cluster"},
		"a missing file":     {[]string{"-f", "/nonexistent"}, "-f: open /nonexistent: no such file or directory: give the path"},
		"no such node":       {[]string{"-f", "/dev/null", "--node-name=x"}, `there is no Node "x": give --node-name of one that there is`},
		"a mistaken option":  {[]string{"-f", "/dev/null", "--cluster-cidr=x"}, `--cluster-cidr: "x" is not a CIDR`},
		"an argument":        {[]string{"manifests.yaml"}, `unexpected argument "manifests.yaml": give files with -f`},
		"an unreadable file": {[]string{"-f", "/dev/null", "--config=/nonexistent"}, "--config: open /nonexistent"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := Main(append([]string{"render"}, tc.args...), &stdout, &stderr); code == 0 || !strings.Contains(stderr.String(), tc.want) {
				t.Errorf("exit code %d, said %q, want %q", code, &stderr, tc.want)
			}
		})
	}
}

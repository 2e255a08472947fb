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
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/announce/claims"
	"switchyard.dev/switchyard/internal/balancer"
	"switchyard.dev/switchyard/internal/command"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/netns"
	"switchyard.dev/switchyard/internal/routes"
	"switchyard.dev/switchyard/test/prereq"
)

func TestMistakesAboutRoutesAreOneClearSentence(t *testing.T) {
	for want, args := range map[string][]string{
		"--announce=bgp does not exist: use l2 or routes":                                                                  {"--announce=bgp"},
		"--announce=routes needs the routing daemon of this node: give --routes-daemon=bird or --routes-daemon=frr":        {"--announce=routes"},
		"--routes-daemon=gobgp does not exist: use bird or frr":                                                            {"--announce=routes", "--routes-daemon=gobgp"},
		"--routes-file=bird.conf is not the absolute path of a file":                                                       {"--announce=l2,routes", "--routes-daemon=bird", "--routes-file=bird.conf"},
		"--routes-daemon, --routes-file, --routes-command and --routes-cluster-ips mean nothing without --announce=routes": {"--routes-daemon=bird"},
	} {
		var stdout, stderr bytes.Buffer
		if code := Main(args, &stdout, &stderr); code != command.Misuse || !strings.HasPrefix(stderr.String(), "switchyard-node: "+want) {
			t.Errorf("%v: exit code %d, said %q\nwant %s", args, code, stderr.String(), want)
		}
	}
}

// fakeBIRD is a directory with a birdc that knows as many routes as the file
// beside it has, until it is told to be away.
func fakeBIRD(t *testing.T) (directory string, options RoutesOptions) {
	t.Helper()
	directory = t.TempDir()
	const birdc = `#!/bin/sh
cd "${0%/*}"
test -e away && { echo "Unable to connect" >&2; exit 1; }
case "$*" in
*configure) echo "0003 Reconfigured" ;;
*ipv4*) n=$(grep -c "route [0-9.]*/" bird.conf); echo "1007-$n of $n routes for $n networks" ;;
*) n=$(grep -c "route [0-9a-f]*:" bird.conf); echo "1007-$n of $n routes for $n networks" ;;
esac
`
	if err := os.WriteFile(filepath.Join(directory, "birdc"), []byte(birdc), 0o700); err != nil {
		t.Fatal(err)
	}
	return directory, RoutesOptions{Daemon: routes.BIRD, File: filepath.Join(directory, "bird.conf"), Command: filepath.Join(directory, "birdc")}
}

// allServed serves every Service from everywhere.
type allServed struct{}

func (allServed) Balanced(_, _, _ string, _ netip.Addr) (announce.Service, bool) {
	return announce.Service{}, true
}

func TestRoutesFollowWhatTheClusterHas(t *testing.T) {
	directory, options := fakeBIRD(t)
	own := &OwnOptions{Announce: []string{announceRoutes}, AnnounceNamespace: "system", Routes: options}
	claim := balancer.Claim{Addr: netip.MustParseAddr("192.0.2.10"), Holders: []balancer.Holder{{Service: types.NamespacedName{Namespace: "shop", Name: "web"}, UID: "1"}}}
	ready := corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}
	client := fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1"}, Status: ready}, balancer.LeaseOf("system", claim))
	state := health.NewState(health.Patience, model.IPv4)
	events := record.NewFakeRecorder(10)
	book := claims.New(client, own.announceNamespace(), allServed{})
	functions := announceByRoutes(own, book, nil, state, health.NewMetrics("test", model.IPv4), nodeWarnings{client, events, nodeReference("node-1")})

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, run := range functions {
		running.Go(func() { run(ctx) })
	}
	defer func() { stop(); running.Wait() }()
	if _, err := os.Stat(options.File); err == nil {
		t.Error("something is announced before the rules are there")
	}
	state.Done(model.IPv4, state.Queued(model.IPv4))
	snippet := func() string {
		text, _ := os.ReadFile(options.File) // not there yet
		return string(text)
	}
	const route = "route 192.0.2.10/32"
	await(t, "a route", func() bool { return strings.Contains(snippet(), route) })

	away := filepath.Join(directory, "away")
	if err := os.WriteFile(away, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Nodes().Delete(ctx, "node-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if event := <-events.Events; !strings.HasPrefix(event, "Warning RoutesNotAnnounced running ") || !strings.Contains(event, "Unable to connect") {
		t.Errorf("the Event says %s", event)
	}
	await(t, "no route", func() bool { return !strings.Contains(snippet(), route) })
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestCleaningUpWithdrawsRoutes(t *testing.T) {
	prereq.Root(t)
	_, options := fakeBIRD(t)
	const before = "# Written by switchyard-node\nroute 192.0.2.10/32 blackhole;\n"
	if err := os.WriteFile(options.File, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ns.Close() }()
	var stdout, stderr bytes.Buffer
	code := -1
	err = ns.Do(func() error {
		code = Main([]string{
			"--cleanup", "--announce=routes", "--routes-daemon=" + options.Daemon, "--routes-file=" + options.File, "--routes-command=" + options.Command,
		}, &stdout, &stderr)
		return nil
	})
	text, readErr := os.ReadFile(options.File)
	if code != 0 || err != nil || readErr != nil || strings.Contains(string(text), "route 192.0.2.10/32") {
		t.Errorf("exit code %d, said %q, %v; the file has %q, %v", code, stderr.String(), err, text, fmt.Sprint(readErr))
	}
}

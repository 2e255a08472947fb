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

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/test/prereq"
)

// The manifests run the agent as user 0 with one capability, after an init
// container that has them all.
func TestNetAdminAloneIsEnoughAfterInitOnly(t *testing.T) {
	b := newBed(t)
	setpriv := prereq.Tool(t, "setpriv", "util-linux")
	b.in(b.node, func() error {
		// The sizes of connection tracking belong to the machine of the test.
		out, err := exec.Command(program(), "--init-only", "--conntrack-max-per-core=0").CombinedOutput()
		if err != nil {
			return fmt.Errorf("--init-only: %w: %s", err, out)
		}
		return nil
	})
	b.forgetEvents()
	b.startAgentBy([]string{setpriv, "--bounding-set=-all,+net_admin", "--inh-caps=-all,+net_admin", "--no-new-privs"}, unprotected)
	b.awaitSync()
	if got, want := b.capabilities(), fmt.Sprintf("%016x", 1<<unix.CAP_NET_ADMIN); got != want {
		b.Fatalf("the agent has the capabilities %s, want %s", got, want)
	}
	b.await(`an Event "Starting" of the node`, func() bool {
		events := must(b.client.CoreV1().Events(metav1.NamespaceAll).List(b.Context(), metav1.ListOptions{}))(t)
		for _, e := range events.Items {
			if e.Reason == "Starting" && e.Type == corev1.EventTypeNormal && e.InvolvedObject.Kind == "Node" && e.InvolvedObject.Name == nodeName {
				return true
			}
		}
		return false
	})
	// It follows changes, repairs, and sweeps connections whose endpoint went.
	for _, s := range b.services {
		if err := b.change(s); err != nil {
			b.Fatal(err)
		}
	}
	for _, way := range b.ways() {
		b.await(way.name+" leads to exactly the ready endpoints", func() bool { return b.leads(way) })
	}
	if what := b.tamper(foreign[0]); what != carriedOut {
		b.Fatalf("%q was %s", foreign[0], what)
	}
	for _, way := range b.ways() {
		b.await(way.name+" leads to them again", func() bool { return b.leads(way) })
	}
	if log := b.agent.Log(); strings.Contains(log, `"error"`) || strings.Contains(log, "is not served") {
		b.Errorf("the agent complains:\n%s", log)
	}
	b.settled(unprotected)
}

// forgetEvents removes the Events of agents before.
func (b *bed) forgetEvents() {
	b.Helper()
	events := b.client.CoreV1().Events(metav1.NamespaceDefault)
	if err := events.DeleteCollection(b.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		b.Fatal(err)
	}
}

// capabilities are those that the agent can use, in the kernel's digits.
func (b *bed) capabilities() string {
	b.Helper()
	status := must(os.ReadFile(fmt.Sprintf("/proc/%d/status", b.agent.PID())))(b.T)
	_, rest, _ := strings.Cut(string(status), "CapEff:\t")
	digits, _, _ := strings.Cut(rest, "\n")
	return digits
}

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

package status

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/inventory"
)

func TestAClusterInOrderHasNoWarnings(t *testing.T) {
	r := wellFacts().Report(now)
	if !r.Well() || r.Partial() {
		t.Fatalf("warnings: %v, not seen: %v", r.Warnings, r.NotSeen)
	}
	var out strings.Builder
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	if err := r.PrintEnd(&out); err != nil {
		t.Fatal(err)
	}
	want := `API server   v1.37.1                https://10.0.0.1:6443
Manager      2 of 2 ready           v0.7.0, manager-a leads
Agents       2 of 2 ready           v0.7.0
DNS          1 of 1 ready           v0.7.0
Admission    1 webhook (Ignore 1)   certificate for another 365d, authority for another 9y
             40 calls since the API server started: 3 denied, 1 let pass and 0 refused without an answer
Services     1, 0 not reachable, 0 load balancers without an address
Numbers      0 pools, 0 nearly full; 0 reservations, 0 waiting; audit: 0 errors

NODE     AGENT   VERSION   UP    LAST SYNC   WAITING   REPAIRS   PROBLEMS   SERVICE PORTS   ENDPOINTS   RESTARTS
node-1   ready   v0.7.0    24h   3m          -         0         0          12              30          0
node-2   ready   v0.7.0    24h   3m          -         0         0          12              30          0
All is well.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

func TestEachTroubleIsOneWarningThatNamesItAndARemedy(t *testing.T) {
	refused := errors.New("port 10249: dial tcp 127.0.0.1:10249: connect: connection refused")
	for name, tc := range map[string]struct {
		change  func(*Facts)
		kind    Kind
		objects []string
		message string
	}{
		"no manager": {func(f *Facts) { f.Managers = nil }, ManagerMissing, []string{}, "no switchyard-manager runs"},
		"a manager that can not be scheduled": {
			func(f *Facts) { f.Managers[1].Ready, f.Managers[1].Why = false, "it is not scheduled: 0/2 nodes" },
			ManagerNotReady, []string{"manager-b"}, "the manager is not ready: it is not scheduled: 0/2 nodes",
		},
		"nobody leads": {func(f *Facts) { f.Leader = Leader{} }, NoLeader, []string{}, "no manager leads: endpoints, addresses of load balancers and reservations are not looked after"},
		"who led is gone": {
			func(f *Facts) { f.Leader.Renewed = ago(5 * time.Minute) }, NoLeader, []string{"manager-a"},
			"it was the last manager to lead, until 5m ago: endpoints, addresses of load balancers and reservations are not looked after",
		},
		"a node that is not ready": {
			func(f *Facts) { f.Nodes[1].Ready = false; f.Agents[1].Ready = false }, NodeNotReady, []string{"node-2"},
			"the node is not Ready: what its agent says may be old",
		},
		"a node without an agent": {
			func(f *Facts) { f.Nodes = append(f.Nodes, node("node-3")) }, AgentMissing, []string{"node-3"}, "no switchyard-node runs there: it programs no Services",
		},
		"an agent that crashes": {
			func(f *Facts) {
				a := &f.Agents[0]
				a.Ready, a.Why, a.Restarts, a.LastExit = false, "it waits: CrashLoopBackOff", 5, "Error, code 1"
				f.Answers["agent-1"] = Answer{Err: refused}
			},
			AgentNotReady, []string{"node-1"}, "the agent is not ready: it waits: CrashLoopBackOff (it ended last with: Error, code 1)",
		},
		"agents that were started anew": {
			func(f *Facts) {
				f.Agents[0].Restarts, f.Agents[0].Restarted, f.Agents[0].LastExit = 1, ago(2*time.Minute), "OOMKilled, code 137"
			},
			AgentRestarted, []string{"node-1"}, "the agent was started anew 2m ago (it ended last with: OOMKilled, code 137)",
		},
		"agents that are silent": {
			func(f *Facts) { f.Answers = map[string]Answer{"agent-1": {Err: refused}, "agent-2": {Err: refused}} },
			AgentSilent, []string{"node-1", "node-2"}, "the agent does not answer: " + refused.Error(),
		},
		"an agent whose kernel refuses": {
			func(f *Facts) { a := answer(); a.Late, a.Pending = true, 7; f.Answers["agent-2"] = a },
			AgentBehind, []string{"node-2"}, "changes have waited for more than a minute to be programmed (7 now)",
		},
		"an agent that never got so far": {
			func(f *Facts) { a := answer(); a.Unready, a.Synced = true, time.Time{}; f.Answers["agent-2"] = a },
			AgentBehind, []string{"node-2"}, "the agent has not programmed the node yet",
		},
		"agents of two versions": {
			func(f *Facts) {
				f.Agents = append(f.Agents, pod("agent-3", "node-3"))
				f.Nodes = append(f.Nodes, node("node-3"))
				f.Agents[2].Version = "v0.6.0"
			},
			AgentVersionsDiffer, []string{"node-3"}, "agents are of several versions: v0.6.0 on 1, v0.7.0 on 2",
		},
		"drift of today": {
			func(f *Facts) {
				a := answer()
				a.Repairs, a.Repaired = 4, ago(10*time.Minute)
				f.Answers["agent-1"] = a
			},
			DriftRepaired, []string{"node-1"}, "somebody else has changed our table, 10m ago for the last time, and it was repaired (4 times since the agent started)",
		},
		"a Service of DNS that nobody answers for": {
			func(f *Facts) { f.DNS, f.DNSService = nil, DNSService{Found: true} }, DNSNotReady, []string{},
			"the Service kube-system/kube-dns has no endpoint that is ready: who asks its address for names gets no answer",
		},
		"no webhooks": {func(f *Facts) { f.Webhooks = nil }, WebhooksMissing, []string{}, "no webhook leads to the manager: nothing is judged or allocated at admission"},
		"another installation's webhooks": {
			func(f *Facts) {
				f.Webhooks, f.Elsewhere = nil, []string{"other/switchyard-webhook-service", "other/switchyard-webhook-service"}
			}, WebhooksMissing, []string{"other/switchyard-webhook-service"},
			"the webhooks lead to another installation, and not to the manager in switchyard-system",
		},
		"no caBundle": {
			func(f *Facts) { f.Webhooks[0].CAEnds = time.Time{} }, WebhookUntrusted, []string{"v.switchyard.dev"},
			"the API server does not know whom to trust: requests are let pass unjudged, or refused where failurePolicy is Fail",
		},
		"a certificate at its end": {
			func(f *Facts) { f.Serving["manager-b"] = now.Add(5 * day) }, CertificateEnds, []string{}, "the certificate that the webhooks serve ends in 5d",
		},
		"a certificate that has ended": {
			func(f *Facts) { f.Webhooks[0].CAEnds = ago(2 * day) }, CertificateEnds, []string{}, "the authority of the webhooks' certificate has ended 2d ago",
		},
		"a Service that is not reachable": {
			func(f *Facts) {
				f.withInventory(func(inv *inventory.Inventory) {
					inv.Services[0].Status.Conditions = []metav1.Condition{{Type: "Reachable", Status: metav1.ConditionFalse}}
				})
			},
			ServiceNotReachable, []string{"shop/web"}, "a Service is not reachable",
		},
		"a Service that conflicts": {
			func(f *Facts) {
				f.withInventory(func(inv *inventory.Inventory) {
					inv.Services[0].Status.Conditions = []metav1.Condition{{Type: "Conflicted", Status: metav1.ConditionTrue}}
				})
			},
			ServiceInConflict, []string{"shop/web"}, "a Service has a number that others have, too",
		},
		"load balancers without addresses": {
			func(f *Facts) {
				f.withInventory(func(inv *inventory.Inventory) {
					inv.Services = append(inv.Services, service("api"))
					for i := range inv.Services {
						inv.Services[i].Spec.Type = corev1.ServiceTypeLoadBalancer
					}
				})
			},
			NoLoadBalancerAddress, []string{"shop/web", "shop/api"}, "2 Services are of type LoadBalancer and without an address",
		},
		"a reservation that waits": {
			func(f *Facts) {
				f.withInventory(func(inv *inventory.Inventory) {
					inv.PortReservations = []v1alpha1.PortReservation{{ObjectMeta: metav1.ObjectMeta{Name: "80"}, Status: v1alpha1.ReservationStatus{Phase: v1alpha1.ReservationPending}}}
				})
				f.Audit.Findings = nil // audit has its own word about it
			},
			ReservationWaits, []string{"PortReservation 80"}, "a reservation is not held yet",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := wellFacts()
			tc.change(f)
			got := onlyWarning(t, f.Report(now))
			if got.Remedy == "" {
				t.Error("no remedy")
			}
			if diff := cmp.Diff(Warning{tc.kind, tc.objects, tc.message, got.Remedy}, got); diff != "" {
				t.Errorf("warning (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNoTrouble(t *testing.T) {
	for name, change := range map[string]func(*Facts){
		"an agent that is just being started": func(f *Facts) {
			f.Agents[0].Ready, f.Agents[0].Created = false, ago(20*time.Second)
			f.Answers["agent-1"] = Answer{Err: errors.New("refused")}
		},
		"a restart of yesterday": func(f *Facts) { f.Agents[0].Restarts, f.Agents[0].Restarted = 1, ago(day) },
		"drift of yesterday":     func(f *Facts) { a := answer(); a.Repairs, a.Repaired = 4, ago(day); f.Answers["agent-1"] = a },
		"nodes that have no agent by design": func(f *Facts) {
			windows := node("node-3")
			windows.Ordinary = false
			f.Nodes = append(f.Nodes, windows)
		},
		"no agents at all, as kube-proxy serves the nodes": func(f *Facts) { f.Agents, f.Answers = nil, nil },
		"an agent that was not asked has only its image's tag": func(f *Facts) {
			a := answer()
			a.Version = "v0.7.0-3-gabcdef"
			f.Answers = map[string]Answer{"agent-1": a}
		},
		"lists that may not be read": func(f *Facts) {
			f.Managers, f.Agents, f.DNS, f.Webhooks = nil, nil, nil, nil
			f.Unknown = map[List]bool{ListProgram: true, ListDNS: true, ListWebhooks: true}
		},
		"DNS with other labels": func(f *Facts) { f.DNS, f.DNSService = nil, DNSService{Found: true, Ready: 2} },
		"DNS somewhere else":    func(f *Facts) { f.DNS = nil },
		"agents whose metrics are elsewhere": func(f *Facts) {
			f.Answers["agent-1"] = Answer{Err: fmt.Errorf("%w: metricsBindAddress is %q", errElsewhere, "10.0.0.1:10249")}
		},
		"one manager that needs no lease": func(f *Facts) { f.Managers, f.Leader = f.Managers[:1], Leader{} },
		"a load balancer of this second": func(f *Facts) {
			f.withInventory(func(inv *inventory.Inventory) {
				inv.Services[0].Spec.Type, inv.Services[0].CreationTimestamp = corev1.ServiceTypeLoadBalancer, metav1.NewTime(now)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := wellFacts()
			change(f)
			if r := f.Report(now); !r.Well() {
				t.Errorf("warnings: %+v", r.Warnings)
			}
		})
	}
}

func TestAThousandNodesWithOneTroubleAreOneLine(t *testing.T) {
	f := wellFacts()
	for i := range 1000 {
		f.Nodes = append(f.Nodes, node(fmt.Sprintf("worker-%d", i)))
	}
	r := f.Report(now)
	if got := onlyWarning(t, r); len(got.Objects) != 1000 {
		t.Errorf("it names %d nodes", len(got.Objects))
	}
	var out strings.Builder
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "warning: worker-0, worker-1,") || !strings.Contains(out.String(), "worker-7 and 992 more: no switchyard-node runs there") {
		t.Errorf("printed:\n%s", out.String())
	}
}

func TestWhatIsNearlyFull(t *testing.T) {
	for name, tc := range map[string]struct {
		capacity, free uint64
		want           bool
	}{
		"nothing in use":                {100, 100, false},
		"89 of 100 in use":              {100, 11, false},
		"90 of 100 in use":              {100, 10, true},
		"full":                          {100, 0, true},
		"a small pool nobody uses":      {4, 4, false},
		"a small pool with two of four": {4, 2, true},
		"four free of many":             {39, 4, true},
		"no numbers at all":             {0, 0, false},
	} {
		var p PoolCount
		p.add(Full{"pool", tc.capacity, tc.free})
		if got := len(p.NearlyFull) == 1; got != tc.want {
			t.Errorf("%s: nearly full is %v", name, got)
		}
	}
}

func TestWhatWasNotSeenIsNoClusterInOrder(t *testing.T) {
	for name, tc := range map[string]struct {
		unseen  Unseen
		partial bool
		end     string
	}{
		"you may not": {Unseen{What: "what agents say", Reason: "you may not", Remedy: "ask for it", Forbidden: true}, true,
			"not seen: what agents say: you may not; ask for it\nAll is well, as far as it could be seen.\n"},
		"no answer in time": {Unseen{What: "Services", Reason: "etcdserver: request timed out"}, true,
			"not seen: Services: etcdserver: request timed out\nAll is well, as far as it could be seen.\n"},
		"not served": {Unseen{What: "ServiceCIDRs", Reason: "the API server does not serve them", Absent: true}, false,
			"not seen: ServiceCIDRs: the API server does not serve them\nAll is well.\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := wellFacts()
			f.Webhooks, f.Unknown = nil, map[List]bool{ListWebhooks: true}
			f.Unseen = []Unseen{tc.unseen}
			r := f.Report(now)
			var out strings.Builder
			if err := errors.Join(r.Print(&out), r.PrintEnd(&out)); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), "Admission    unknown ") {
				t.Errorf("webhooks that were not read: %s", out.String())
			}
			if r.Partial() != tc.partial || !strings.HasSuffix(out.String(), tc.end) {
				t.Errorf("partial is %v, printed:\n%s", r.Partial(), out.String())
			}
		})
	}
}

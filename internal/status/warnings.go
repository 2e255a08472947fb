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
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind is what a warning is about. The names are stable.
type Kind string

// The kinds of warnings, in the order in which they are told.
const (
	ManagerMissing        Kind = "ManagerMissing"
	ManagerNotReady       Kind = "ManagerNotReady"
	NoLeader              Kind = "NoLeader"
	NodeNotReady          Kind = "NodeNotReady"
	AgentMissing          Kind = "AgentMissing"
	AgentNotReady         Kind = "AgentNotReady"
	AgentSilent           Kind = "AgentSilent"
	AgentBehind           Kind = "AgentBehind"
	AgentRestarted        Kind = "AgentRestarted"
	AgentVersionsDiffer   Kind = "AgentVersionsDiffer"
	DriftRepaired         Kind = "DriftRepaired"
	DNSNotReady           Kind = "DNSNotReady"
	WebhooksMissing       Kind = "WebhooksMissing"
	WebhookUntrusted      Kind = "WebhookUntrusted"
	CertificateEnds       Kind = "CertificateEnds"
	NearlyFull            Kind = "NearlyFull"
	ReservationWaits      Kind = "ReservationWaits"
	ReservationInConflict Kind = "ReservationInConflict"
	ServiceInConflict     Kind = "ServiceInConflict"
	AuditFindings         Kind = "AuditFindings"
	ServiceNotReachable   Kind = "ServiceNotReachable"
	NoLoadBalancerAddress Kind = "NoLoadBalancerAddress"
)

// Warning is something to look after.
type Warning struct {
	Kind Kind `json:"kind"`
	// Objects are those that it is about: nodes, Services, pools.
	Objects []string `json:"objects"`
	Message string   `json:"message"`
	Remedy  string   `json:"remedy"`
}

type warner struct {
	facts  *Facts
	report *Report
	now    time.Time
}

func (w *warner) warn(kind Kind, objects []string, remedy, message string, words ...any) {
	warning := Warning{Kind: kind, Objects: append([]string{}, objects...), Message: fmt.Sprintf(message, words...), Remedy: remedy}
	w.report.Warnings = append(w.report.Warnings, warning)
}

// join adds an object to the warning that says the same of others, so that a
// thousand nodes with one trouble are one line. A node with two agents is named once.
func (w *warner) join(kind Kind, object, remedy, message string, words ...any) {
	text := fmt.Sprintf(message, words...)
	for i := range w.report.Warnings {
		if other := &w.report.Warnings[i]; other.Kind == kind && other.Message == text {
			if other.Objects[len(other.Objects)-1] != object {
				other.Objects = append(other.Objects, object)
			}
			return
		}
	}
	w.warn(kind, []string{object}, remedy, "%s", text)
}

func (w *warner) all() {
	w.managers()
	w.nodes()
	w.agentSets()
	w.agents()
	w.versions()
	w.dns()
	w.admission()
	w.numbers()
}

// restartedLately is how long ago a restart is still news.
const restartedLately = 10 * time.Minute

const withoutLeader = "endpoints, addresses of load balancers and reservations are not looked after"

func (w *warner) managers() {
	if w.facts.Unknown[ListProgram] {
		return
	}
	if len(w.facts.Managers) == 0 {
		w.warn(ManagerMissing, nil, "install it (docs/install.md), or say with --manager-namespace where it is", "no switchyard-manager runs")
		return
	}
	for _, m := range w.facts.Managers {
		w.program(ManagerNotReady, m, m.Name, "manager")
	}
	switch leader := w.facts.Leader; {
	case w.facts.Unknown[ListLeader]:
	case leader.Name == "" && len(w.facts.Managers) < 2:
		// One replica may run without --leader-elect.
	case leader.Name == "", leader.Renewed.IsZero():
		w.warn(NoLeader, nil, w.facts.Managers[0].Logs, "no manager leads: "+withoutLeader)
	case w.now.Sub(leader.Renewed) > leader.Lasts+youth:
		w.warn(NoLeader, []string{leader.Name}, w.facts.Managers[0].Logs, "it was the last manager to lead, until %s ago: %s",
			age(w.now.Sub(leader.Renewed)), withoutLeader)
	}
}

// program warns of one that is not ready, or was not a moment ago.
func (w *warner) program(kind Kind, i Instance, object, what string) {
	switch {
	case !i.Ready && (i.Pod.Name == "" || w.now.Sub(i.Created) >= youth):
		w.join(kind, object, "its log says why: "+i.Logs, "the %s is not ready: %s%s", what, i.Why, last(i))
	case i.Ready && i.Restarts > 0 && w.now.Sub(i.Restarted) < restartedLately:
		restarted := kind
		if kind == AgentNotReady {
			restarted = AgentRestarted
		}
		logs := i.Logs
		if i.Pod.Name != "" {
			logs += " --previous"
		}
		w.join(restarted, object, "its log says why: "+logs, "the %s was started anew %s ago%s", what, age(w.now.Sub(i.Restarted)), last(i))
	}
}

func last(i Instance) string {
	if i.LastExit == "" {
		return ""
	}
	return " (it ended last with: " + i.LastExit + ")"
}

// nodes finds those that are not ready, and those without an agent.
func (w *warner) nodes() {
	have := map[string]bool{}
	for _, a := range w.facts.Agents {
		have[a.Node] = true
	}
	for _, n := range w.facts.Nodes {
		switch {
		case !n.Ready:
			w.join(NodeNotReady, n.Name, "kubectl describe node "+n.Name, "the node is not Ready: what its agent says may be old")
		case n.Ordinary && !have[n.Name] && !w.facts.Unknown[ListProgram] && len(w.facts.Agents) > 0 && w.now.Sub(n.Created) >= youth:
			w.join(AgentMissing, n.Name, w.agentSet("describe")+" says why, unless kube-proxy serves that node",
				"no switchyard-node runs there: it programs no Services")
		}
	}
}

func (w *warner) agents() {
	ready := map[string]bool{}
	for _, n := range w.facts.Nodes {
		ready[n.Name] = n.Ready
	}
	for _, a := range slices.SortedFunc(slices.Values(w.facts.Agents), func(a, b Instance) int { return compareNames(a.Node, b.Node) }) {
		if listed, known := ready[a.Node]; known && !listed {
			continue // that is said, and the reason
		}
		w.program(AgentNotReady, a, a.Node, "agent")
		answer, asked := w.facts.Answers[a.Name]
		switch {
		case errors.Is(answer.Err, ErrAnother): // which is why it is not ready, if it is not
			w.join(AgentSilent, a.Node, "beside kube-proxy that lasts until kube-proxy has left the node (docs/migrate.md); else one of them has to serve elsewhere",
				"the agent does not answer: %v", answer.Err)
		case !asked || !a.Ready && answer.Err != nil:
		case errors.Is(answer.Err, errElsewhere):
			// Its pod is ready, so that it does what it has to.
			w.notSeen(a, answer.Err)
		case answer.Err != nil:
			w.join(AgentSilent, a.Node, "its log may say why: "+a.Logs, "the agent does not answer: %v", answer.Err)
		default:
			w.answer(a, answer)
		}
	}
}

// notSeen tells of an agent whose own account can not be had.
func (w *warner) notSeen(a Instance, why error) {
	const what = "what agents say of themselves, on "
	for i := range w.report.NotSeen {
		if u := &w.report.NotSeen[i]; strings.HasPrefix(u.What, what) && u.Reason == why.Error() {
			u.What += ", " + a.Node
			return
		}
	}
	w.report.NotSeen = append(w.report.NotSeen, Unseen{
		What: what + a.Node, Reason: why.Error(), Absent: true,
		Remedy: "metricsBindAddress says where they are served, which has to be a port of the loopback to be seen here",
	})
}

// answer warns of what an agent says of itself.
func (w *warner) answer(a Instance, answer Answer) {
	now := answer.Now
	if now.IsZero() {
		now = w.now
	}
	switch {
	case answer.Late:
		w.join(AgentBehind, a.Node, "the kernel refuses it or hangs: "+a.Logs, "changes have waited for more than a minute to be programmed (%d now)", answer.Pending)
	case answer.Unready && now.Sub(answer.Started) >= youth:
		w.join(AgentBehind, a.Node, "the kernel refuses it, or the API server is not reached from there: "+a.Logs, "the agent has not programmed the node yet")
	}
	if !answer.Repaired.IsZero() && now.Sub(answer.Repaired) < driftLately {
		w.join(DriftRepaired, a.Node, "find out which program changes nftables there: nft monitor; the table is switchyard's alone",
			"somebody else has changed our table, %s ago for the last time, and it was repaired (%d times since the agent started)",
			age(now.Sub(answer.Repaired)), answer.Repairs)
	}
}

// driftLately is how long ago a repair is still news.
const driftLately = time.Hour

// agentSet is a command about the agents' DaemonSet.
func (w *warner) agentSet(command string) string {
	return fmt.Sprintf("kubectl -n %s %s daemonset switchyard-node", w.facts.System, command)
}

// versions warns of nodes that are behind the others.
func (w *warner) versions() {
	by := w.facts.versions()
	delete(by, unknownVersion)
	if len(by) < 2 {
		return
	}
	sorted := slices.Sorted(maps.Keys(by))
	most := slices.MaxFunc(sorted, func(a, b string) int { return cmp.Compare(len(by[a]), len(by[b])) })
	var parts, others []string
	for _, version := range sorted {
		parts = append(parts, fmt.Sprintf("%s on %d", version, len(by[version])))
		if version != most {
			others = append(others, by[version]...)
		}
	}
	slices.SortFunc(others, compareNames)
	w.warn(AgentVersionsDiffer, others, w.agentSet("rollout status"), "agents are of several versions: %s", strings.Join(parts, ", "))
}

func (w *warner) dns() {
	if w.facts.Unknown[ListDNS] {
		return
	}
	if len(w.facts.DNS) == 0 && len(w.facts.Nodes) > 0 {
		w.noDNS()
	}
	for _, i := range w.facts.DNS {
		w.program(DNSNotReady, i, i.Name, "DNS server")
	}
}

// noDNS says what is known where no pods of DNS were found. Names may be answered by
// others: by DNS on the nodes, or in a namespace of its own.
func (w *warner) noDNS() {
	switch s := w.facts.DNSService; {
	case s.Found && s.Ready == 0:
		w.warn(DNSNotReady, nil, "switchyard why kube-system/kube-dns says why; config/dns installs ours",
			"the Service kube-system/kube-dns has no endpoint that is ready: who asks its address for names gets no answer")
	case !s.Found:
		w.report.NotSeen = append(w.report.NotSeen, Unseen{
			What: "DNS", Reason: "there is neither a pod with the label k8s-app=kube-dns in kube-system nor the Service kube-dns", Absent: true,
			Remedy: "install config/dns unless another DNS answers elsewhere",
		})
	}
}

// How long before its end a certificate is worth a word. The manager makes another
// long before.
const (
	authorityEnds   = 30 * 24 * time.Hour
	certificateGone = 14 * 24 * time.Hour
)

func (w *warner) admission() {
	a := w.report.Admission
	switch {
	case w.facts.Unknown[ListWebhooks]:
		return
	case a.Webhooks == 0 && len(w.facts.Managers) > 0 && len(w.facts.Elsewhere) > 0:
		services := slices.Compact(slices.Sorted(slices.Values(w.facts.Elsewhere)))
		w.warn(WebhooksMissing, services, "a cluster has one installation: apply the manifests of the one to keep once more, and delete the namespace of the other",
			"the webhooks lead to another installation, and not to the manager in %s", w.facts.System)
		return
	case a.Webhooks == 0 && len(w.facts.Managers) > 0:
		w.warn(WebhooksMissing, nil, "install config/webhook, if the manager does not run with --webhooks=off on purpose",
			"no webhook leads to the manager: nothing is judged or allocated at admission")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(w.facts.NotServing)) {
		if a.Webhooks > 0 {
			w.report.NotSeen = append(w.report.NotSeen, Unseen{
				What: "the certificate that " + name + " serves", Reason: fmt.Sprintf("port %d: %v", webhookPort, w.facts.NotServing[name]),
				Remedy: "the API server asks it there for admission: its log may say why it does not answer",
			})
		}
	}
	if len(a.WithoutCA) > 0 {
		w.warn(WebhookUntrusted, a.WithoutCA, "the manager, or cert-manager's injector, fills caBundle in: its log says why it has not",
			"the API server does not know whom to trust: requests are let pass unjudged, or refused where failurePolicy is Fail")
	}
	w.ends("the authority of the webhooks' certificate", a.CAEnds, authorityEnds)
	w.ends("the certificate that the webhooks serve", a.CertificateEnds, certificateGone)
}

func (w *warner) ends(what string, ends *time.Time, early time.Duration) {
	if ends == nil || ends.Sub(w.now) >= early {
		return
	}
	state := "ends in " + age(ends.Sub(w.now))
	if !ends.After(w.now) {
		state = "has ended " + age(w.now.Sub(*ends)) + " ago"
	}
	w.warn(CertificateEnds, nil, "the manager, or cert-manager, should have made another: their logs say why not", "%s %s", what, state)
}

func (w *warner) numbers() {
	if w.report.Numbers == nil {
		return
	}
	n := w.report.Numbers
	for _, f := range w.report.Pools.NearlyFull {
		w.warn(NearlyFull, []string{f.Name}, "switchyard pools shows what is free; give it more, or delete what nobody needs",
			"%d of %d are free", f.Free, f.Capacity)
	}
	w.some(ReservationWaits, n.Waiting, "kubectl describe says why, and its Events", "%s not held yet", "a reservation is", "reservations are")
	w.some(ReservationInConflict, n.InConflict, "switchyard who NUMBER says who has it",
		"%s of a number that somebody else has", "a reservation is", "reservations are")
	w.some(ServiceInConflict, n.Conflicted, "switchyard who NAMESPACE/NAME", "%s a number that others have, too", "a Service has", "Services have")
	if found := n.AuditErrors + n.AuditWarnings; found > 0 {
		w.warn(AuditFindings, nil, "switchyard audit", "something is wrong with numbers of Services: %s", counts(n.AuditErrors, n.AuditWarnings))
	}
	w.some(ServiceNotReachable, n.NotReachable, "switchyard why NAMESPACE/NAME", "%s not reachable", "a Service is", "Services are")
	w.some(NoLoadBalancerAddress, n.WithoutAddress, "switchyard why NAMESPACE/NAME",
		"%s of type LoadBalancer and without an address", "a Service is", "Services are")
}

// some warns of objects in one line, if there are any.
func (w *warner) some(kind Kind, objects []string, remedy, message, one, more string) {
	if len(objects) == 0 {
		return
	}
	who := one
	if len(objects) > 1 {
		who = fmt.Sprintf("%d %s", len(objects), more)
	}
	w.warn(kind, objects, remedy, message, who)
}

func counts(errors, warnings int) string {
	switch {
	case warnings == 0:
		return plural(errors, "error")
	case errors == 0:
		return plural(warnings, "warning")
	}
	return plural(errors, "error") + " and " + plural(warnings, "warning")
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

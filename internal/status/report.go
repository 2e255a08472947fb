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
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1 "k8s.io/api/core/v1"

	"switchyard.dev/switchyard/api/v1alpha1"
	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/inventory/usage"
)

// Report is what is told, for people and machines.
type Report struct {
	Time      time.Time  `json:"time"`
	APIServer APIServer  `json:"apiServer"`
	Leader    string     `json:"leader,omitempty"`
	Managers  []Program  `json:"managers"`
	Agents    Agents     `json:"agents"`
	DNS       []Program  `json:"dns"`
	Admission Admission  `json:"admission"`
	Numbers   *Numbers   `json:"numbers,omitempty"`
	Warnings  []Warning  `json:"warnings"`
	NotSeen   []Unseen   `json:"notSeen"`
	Pools     *PoolCount `json:"pools,omitempty"`

	unknown map[List]bool
}

// APIServer is the one that was asked.
type APIServer struct {
	URL     string `json:"url"`
	Version string `json:"version,omitempty"`
}

// Program is a program that runs once or in replicas.
type Program struct {
	Name     string `json:"name"`
	Node     string `json:"node,omitempty"`
	Version  string `json:"version,omitempty"`
	Ready    bool   `json:"ready"`
	Why      string `json:"why,omitempty"`
	Restarts int    `json:"restarts"`
	LastExit string `json:"lastExit,omitempty"`
}

// Agents are those of all nodes, and what those said that were asked.
type Agents struct {
	Nodes int `json:"nodes"`
	Ready int `json:"ready"`
	// Silent are those that were asked and did not answer.
	Silent int `json:"silent"`
	// Versions counts agents by version.
	Versions map[string]int `json:"versions"`
	List     []Agent        `json:"list"`
	// NotListed is how many were not asked, as there are so many.
	NotListed int `json:"notListed"`
}

// Agent is that of one node.
type Agent struct {
	Program
	// Asked tells that it answered; what follows is its own account.
	Asked        bool       `json:"asked"`
	Problem      string     `json:"problem,omitempty"`
	Started      *time.Time `json:"started,omitempty"`
	Synced       *time.Time `json:"synced,omitempty"`
	Pending      int        `json:"pendingChanges"`
	Late         bool       `json:"late"`
	Repairs      int        `json:"repairs"`
	Repaired     *time.Time `json:"lastRepair,omitempty"`
	Problems     int        `json:"problems"`
	Failures     int        `json:"syncFailures"`
	ServicePorts int        `json:"servicePorts"`
	Endpoints    int        `json:"endpoints"`
}

// Admission is what the API server asks of us.
type Admission struct {
	Webhooks int `json:"webhooks"`
	// Unknown tells that they could not be read.
	Unknown bool `json:"unknown,omitempty"`
	// Policies counts webhooks by failure policy.
	Policies map[string]int `json:"failurePolicies"`
	// WithoutCA are webhooks that the API server can not trust.
	WithoutCA []string `json:"withoutCA"`
	// CAEnds is when the first bundle ends, CertificateEnds when the first certificate
	// does that is served, where it could be seen.
	CAEnds          *time.Time `json:"caEnds,omitempty"`
	CertificateEnds *time.Time `json:"certificateEnds,omitempty"`
	// Counts are those of the API server that was asked, since its start.
	Counts *WebhookCounts `json:"counts,omitempty"`
	// Judged are those of the managers by result, where they could be asked.
	Judged map[string]int `json:"judged,omitempty"`
}

// Numbers are what Services have.
type Numbers struct {
	Services       int      `json:"services"`
	NotReachable   []string `json:"notReachable"`
	Conflicted     []string `json:"conflicted"`
	WithoutAddress []string `json:"loadBalancersWithoutAddress"`
	Reservations   int      `json:"reservations"`
	Waiting        []string `json:"reservationsWaiting"`
	InConflict     []string `json:"reservationsInConflict"`
	AuditErrors    int      `json:"auditErrors"`
	AuditWarnings  int      `json:"auditWarnings"`
}

// PoolCount is of pools and of the API server's ranges.
type PoolCount struct {
	Pools      int    `json:"pools"`
	NearlyFull []Full `json:"nearlyFull"`
}

// Full is a pool or range that is nearly so.
type Full struct {
	Name     string `json:"name"`
	Capacity uint64 `json:"capacity"`
	Free     uint64 `json:"free"`
}

// Well tells that there is nothing to look after.
func (r *Report) Well() bool { return len(r.Warnings) == 0 }

// Partial tells that some of what there is could not be seen, for want of a right or
// of an answer.
func (r *Report) Partial() bool {
	return slices.ContainsFunc(r.NotSeen, func(u Unseen) bool { return !u.Absent })
}

// youth is how old something has to be before it counts that it is not ready.
const youth = time.Minute

// Report says what follows from the facts.
func (f *Facts) Report(now time.Time) *Report {
	r := &Report{
		Time: now.UTC().Truncate(time.Second), APIServer: APIServer{f.Server, f.Version}, Leader: f.Leader.Name,
		Managers: programsOf(f.Managers), DNS: programsOf(f.DNS), NotSeen: append([]Unseen{}, f.Unseen...), Warnings: []Warning{},
		unknown: f.Unknown,
	}
	slices.SortStableFunc(r.NotSeen, func(a, b Unseen) int { return cmp.Compare(a.What, b.What) })
	r.Agents = f.agents()
	r.Admission = f.admission()
	if f.Index != nil {
		r.Numbers = f.numbers(now)
		r.Pools = poolsOf(f.Index)
	}
	w := warner{facts: f, report: r, now: now}
	w.all()
	return r
}

func programsOf(instances []Instance) []Program {
	all := []Program{}
	for _, i := range instances {
		all = append(all, programOf(i))
	}
	slices.SortFunc(all, func(a, b Program) int { return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Name, b.Name)) })
	return all
}

func programOf(i Instance) Program {
	return Program{Name: i.Name, Node: i.Node, Version: i.Version, Ready: i.Ready, Why: i.Why, Restarts: i.Restarts, LastExit: i.LastExit}
}

func (f *Facts) agents() Agents {
	a := Agents{Nodes: len(f.Nodes), Versions: map[string]int{}, List: []Agent{}}
	for version, nodes := range f.versions() {
		a.Versions[version] = len(nodes)
	}
	for _, i := range f.Agents {
		answer, asked := f.Answers[i.Name]
		agent := Agent{Program: programOf(i)}
		agent.Version = cmp.Or(answer.Version, agent.Version)
		if i.Ready {
			a.Ready++
		}
		if asked && answer.Err == nil {
			agent.say(answer)
		} else if asked && !errors.Is(answer.Err, errElsewhere) {
			agent.Problem = answer.Err.Error()
			a.Silent++
		}
		if f.Chosen[i.Name] {
			a.List = append(a.List, agent)
		} else {
			a.NotListed++
		}
	}
	slices.SortFunc(a.List, func(a, b Agent) int { return compareNames(a.Node, b.Node) })
	return a
}

// unknownVersion is that of a program that says none.
const unknownVersion = "unknown"

// versions are the agents' nodes by version: as the agents say themselves, if all of
// them have been asked, else by their images. The two can not be compared.
func (f *Facts) versions() map[string][]string {
	all := !slices.ContainsFunc(f.Agents, func(i Instance) bool { return f.Answers[i.Name].Version == "" })
	by := map[string][]string{}
	for _, i := range f.Agents {
		version := i.Version
		if all || version == "" {
			version = cmp.Or(f.Answers[i.Name].Version, unknownVersion)
		}
		by[version] = append(by[version], i.Node)
	}
	return by
}

// compareNames puts node-2 before node-10.
func compareNames(a, b string) int {
	return cmp.Or(cmp.Compare(strings.TrimRight(a, "0123456789"), strings.TrimRight(b, "0123456789")), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func (a *Agent) say(answer Answer) {
	a.Asked = true
	a.Pending, a.Late, a.Repairs, a.Problems, a.Failures = answer.Pending, answer.Late, answer.Repairs, answer.Problems, answer.Failures
	a.ServicePorts, a.Endpoints = answer.ServicePorts, answer.Endpoints
	a.Started, a.Synced, a.Repaired = known(answer.Started), known(answer.Synced), known(answer.Repaired)
}

// known leaves out a time that there is not.
func known(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

func (f *Facts) admission() Admission {
	a := Admission{Webhooks: len(f.Webhooks), Unknown: f.Unknown[ListWebhooks], Policies: map[string]int{}, WithoutCA: []string{}, Judged: f.Judged}
	first := time.Time{}
	for _, w := range f.Webhooks {
		a.Policies[string(w.Policy)]++
		if w.CAEnds.IsZero() {
			a.WithoutCA = append(a.WithoutCA, w.Name)
		} else if first.IsZero() || w.CAEnds.Before(first) {
			first = w.CAEnds
		}
		if w.Counts != nil {
			a.add(*w.Counts)
		}
	}
	a.CAEnds = known(first)
	for _, ends := range slices.SortedFunc(maps.Values(f.Serving), time.Time.Compare) {
		a.CertificateEnds = known(ends)
		break
	}
	return a
}

func (a *Admission) add(c WebhookCounts) {
	if a.Counts == nil {
		a.Counts = &WebhookCounts{}
	}
	a.Counts.Requests += c.Requests
	a.Counts.Passed += c.Passed
	a.Counts.Denied += c.Denied
	a.Counts.Failed += c.Failed
}

func (f *Facts) numbers(now time.Time) *Numbers {
	n := &Numbers{
		Services: len(f.Index.Services), NotReachable: []string{}, Conflicted: []string{}, WithoutAddress: []string{},
		Waiting: []string{}, InConflict: []string{}, Reservations: len(f.Index.PortReservations) + len(f.Index.AddressReservations),
	}
	for i := range f.Index.Services {
		n.addService(&f.Index.Services[i], now)
	}
	for i := range f.Index.PortReservations {
		n.addReservation("PortReservation "+f.Index.PortReservations[i].Name, f.Index.PortReservations[i].Status)
	}
	for i := range f.Index.AddressReservations {
		n.addReservation("AddressReservation "+f.Index.AddressReservations[i].Name, f.Index.AddressReservations[i].Status)
	}
	for _, finding := range f.Audit.Findings {
		if finding.Severity == audit.Error {
			n.AuditErrors++
		} else {
			n.AuditWarnings++
		}
	}
	return n
}

func (n *Numbers) addService(service *corev1.Service, now time.Time) {
	name := inventory.KeyOf(service).String()
	if meta.IsStatusConditionFalse(service.Status.Conditions, diagnosis.Reachable) {
		n.NotReachable = append(n.NotReachable, name)
	}
	if meta.IsStatusConditionTrue(service.Status.Conditions, diagnosis.Conflicted) {
		n.Conflicted = append(n.Conflicted, name)
	}
	if service.Spec.Type == corev1.ServiceTypeLoadBalancer && len(service.Status.LoadBalancer.Ingress) == 0 &&
		service.DeletionTimestamp == nil && now.Sub(service.CreationTimestamp.Time) >= youth {
		n.WithoutAddress = append(n.WithoutAddress, name)
	}
}

func (n *Numbers) addReservation(name string, status v1alpha1.ReservationStatus) {
	switch held := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionHeld); {
	case status.Phase == v1alpha1.ReservationConflicted:
		n.InConflict = append(n.InConflict, name)
	case status.Phase == v1alpha1.ReservationPending, status.Phase == "",
		held != nil && held.Status == metav1.ConditionFalse && status.Phase != v1alpha1.ReservationBound:
		n.Waiting = append(n.Waiting, name)
	}
}

// poolsOf finds what is nearly full. ServiceCIDRs of a family are one: who has filled
// the first gets addresses of the next.
func poolsOf(x *inventory.Index) *PoolCount {
	all := usage.Of(x)
	p := &PoolCount{Pools: len(all.Pools), NearlyFull: []Full{}}
	addresses := map[string]*Full{}
	for _, r := range all.Ranges {
		if r.Name == "" {
			p.add(Full{"NodePorts " + r.Range, r.Capacity, r.Free})
			continue
		}
		if !r.Open {
			continue
		}
		family := "IPv4 ClusterIPs"
		if strings.Contains(r.Range, ":") {
			family = "IPv6 ClusterIPs"
		}
		if addresses[family] == nil {
			addresses[family] = &Full{Name: family}
		}
		addresses[family].Capacity += min(r.Capacity, 1<<62)
		addresses[family].Free += min(r.Free, 1<<62)
	}
	for _, family := range slices.Sorted(maps.Keys(addresses)) {
		p.add(*addresses[family])
	}
	for _, pool := range all.Pools {
		if !pool.Disabled {
			p.add(Full{strings.TrimSpace(pool.Kind + " " + pool.Name + " " + string(pool.Family)), pool.Capacity, pool.Free})
		}
	}
	return p
}

// few is how many free numbers are few, of a pool half of which is in use.
const few = 5

func (p *PoolCount) add(f Full) {
	used := f.Capacity - f.Free
	if f.Capacity > 0 && (f.Free <= f.Capacity/10 || f.Free < few && used >= f.Free) {
		p.NearlyFull = append(p.NearlyFull, f)
	}
}

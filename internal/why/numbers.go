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

package why

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"switchyard.dev/switchyard/allocator"
	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/diagnosis/findings"
	"switchyard.dev/switchyard/internal/inventory"
	"switchyard.dev/switchyard/internal/inventory/who"
)

// allServices is what tells whether others have the Service's numbers.
const allServices = "Services of all namespaces"

// numbers asks audit what is wrong with the Service's, and who what they are of.
func (r *reading) numbers(ctx context.Context) {
	service := r.facts.Service
	if r.externalName() || len(allocator.HoldingsOf(service))+len(inventory.AddressesOf(service)) == 0 {
		return
	}
	scope, nodePorts := inventory.Scope{Namespace: service.Namespace}, r.NodePorts(ctx)
	look := func() (*inventory.Index, audit.Report, error) {
		inv, err := scope.Read(ctx, r.Reader, r.System, nodePorts)
		if err != nil {
			return nil, audit.Report{}, err
		}
		index := inv.Index()
		return index, r.ofService(audit.Run(index, time.Now())), nil
	}
	index, report, err := look()
	if err == nil && len(report.Findings) > 0 {
		// Kinds are read beside each other: what is half made looks wrong once.
		var second audit.Report
		if err = sleep(ctx, r.Settle); err == nil {
			if _, second, err = look(); err == nil {
				report = report.Confirm(second)
			}
		}
	}
	if err != nil {
		reason := explain(err)
		r.gaps.addKind(diagnosis.Numbers, gap{allServices, reason, withoutServices}, reason)
		return
	}
	for _, f := range report.Findings {
		r.facts.Numbers = append(r.facts.Numbers, findings.Of(service, f))
	}
	r.withoutKinds(index)
	r.unannounced(index)
	r.given = r.provenance(who.New(index, report))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// ofService leaves out what is wrong with others.
func (r *reading) ofService(report audit.Report) audit.Report {
	report.Findings = slices.DeleteFunc(report.Findings, func(f audit.Finding) bool {
		return !slices.Contains(f.Objects, audit.Service(r.Service))
	})
	return report
}

const (
	withoutServices = "whether those of other namespaces have an address or port of this Service is not known"
	withoutRecords  = "whether its ClusterIPs are in range, and recorded as its own, was not checked"
	withoutPools    = "whether its numbers are kept for others was not checked"
	withoutOurs     = "no pools or reservations, as Switchyard is not installed here"
)

// withoutKinds notes what could not be read of numbers.
func (r *reading) withoutKinds(index *inventory.Index) {
	for _, u := range index.Unread {
		reason, follows := mayNot, withoutPools
		if u.Reason == inventory.NotServed {
			reason = notServed
		}
		switch u.Kind {
		case inventory.Services:
			r.gaps.addKind(diagnosis.Numbers, gap{allServices, reason, withoutServices}, "you may not list the Services of all namespaces")
			continue
		case inventory.IPAddresses, inventory.ServiceCIDRs:
			follows = withoutRecords
		case inventory.PortPools, inventory.AddressPools, inventory.PortReservations, inventory.AddressReservations:
			if u.Reason == inventory.NotServed {
				follows = withoutOurs
			}
		}
		r.gaps.add(gap{string(u.Kind), reason, follows})
	}
}

// announceTime is how long a node may take until it answers for an address.
const announceTime = 10 * time.Second

// unannounced finds the Service's addresses for which no node answers.
func (r *reading) unannounced(index *inventory.Index) {
	for _, ingress := range r.facts.Service.Status.LoadBalancer.Ingress {
		addr, err := netip.ParseAddr(ingress.IP)
		if given, is := index.Unannounced[addr]; err == nil && is && r.facts.Now.Sub(given) > announceTime {
			r.facts.Unannounced = append(r.facts.Unannounced, ingress.IP)
		}
	}
}

// maxGiven is of how many numbers it is said where they come from.
const maxGiven = 20

// provenance says of each number which range, pool or reservation it is of.
func (r *reading) provenance(asker who.Asker) []string {
	answer, err := asker.ServiceNumbers(r.Service)
	if err != nil {
		return nil // deleted since it was read
	}
	var lines []string
	for i := range answer.Numbers {
		if len(lines) == maxGiven {
			return append(lines, fmt.Sprintf("and of %d more: see `switchyard who %s`", len(answer.Numbers)-i, r.Service))
		}
		if from := r.origin(&answer.Numbers[i]); len(from) > 0 {
			lines = append(lines, answer.Numbers[i].Number+" is "+diagnosis.Printable(strings.Join(from, ", ")))
		}
	}
	return lines
}

func (r *reading) origin(number *who.Answer) []string {
	var from []string
	switch {
	case number.ServiceCIDR != "":
		from = append(from, fmt.Sprintf("of ServiceCIDR %s (%s)", number.ServiceCIDR, number.Range))
	case number.Range != "":
		from = append(from, "of the range "+number.Range)
	}
	for _, pool := range number.Pools {
		from = append(from, fmt.Sprintf("of %s %s", pool.Kind, pool.Name))
	}
	if number.Reservation != nil {
		from = append(from, fmt.Sprintf("reserved by %s %s", number.Reservation.Kind, number.Reservation.Name))
	}
	if r.fromLoadBalancer(number.Number) {
		from = append(from, "a load balancer's"+r.writer())
	}
	if number.AnnouncedBy != "" {
		from = append(from, "announced by node "+number.AnnouncedBy)
	}
	return from
}

func (r *reading) fromLoadBalancer(number string) bool {
	for _, ingress := range r.facts.Service.Status.LoadBalancer.Ingress {
		if ingress.IP == number {
			return true
		}
	}
	return false
}

// writer is who has written the load balancer's addresses into the status.
func (r *reading) writer() string {
	var latest metav1.ManagedFieldsEntry
	for _, entry := range r.facts.Service.ManagedFields {
		if entry.Subresource != "status" || entry.FieldsV1 == nil || !strings.Contains(string(entry.FieldsV1.Raw), `"f:loadBalancer"`) {
			continue
		}
		if latest.Time == nil || entry.Time != nil && latest.Time.Before(entry.Time) {
			latest = entry
		}
	}
	if latest.Manager == "" {
		return ""
	}
	return ", written by " + latest.Manager
}

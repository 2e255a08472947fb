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

package who

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"switchyard.dev/switchyard/internal/audit"
	"switchyard.dev/switchyard/internal/diagnosis"
	"switchyard.dev/switchyard/internal/inventory"
)

// writer keeps the first error, so that the lines can be read.
type writer struct {
	*tabwriter.Writer
	now  time.Time
	wide bool
}

func newWriter(out io.Writer, now time.Time, wide bool) writer {
	return writer{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), now, wide}
}

// line writes cells of one row; tabwriter keeps errors until it is flushed. Some
// of them are others' words, such as annotations.
func (w writer) line(cells ...string) {
	row := make([]string, 0, len(cells))
	for _, cell := range cells {
		row = append(row, diagnosis.Printable(cell))
	}
	_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
}

// Print writes the answer for people: the verdict, the holders, then what else
// is known of the number. Wide has exact times and where they are from.
func (a Answer) Print(out io.Writer, now time.Time, wide bool) error {
	w := newWriter(out, now, wide)
	w.line(a.Number + " " + a.verdict())
	if len(a.Holders) > 0 {
		w.line("")
		w.line(w.headings("SERVICE", "FIELD", "PORTS")...)
		for _, h := range a.Holders {
			w.line(append([]string{h.Service().String(), h.Field, h.ports()}, w.since(h)...)...)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	w.line("")
	for _, about := range a.about(now) {
		w.line(about...)
	}
	w.findings(a.Conflicts)
	w.notRead(a.NotRead)
	return w.Flush()
}

func (w writer) headings(cells ...string) []string {
	if w.wide {
		return append(cells, "SINCE", "ACCORDING TO")
	}
	return append(cells, "SINCE")
}

func (w writer) since(h Holder) []string {
	if w.wide {
		return []string{h.Since.Format(time.RFC3339), h.SinceOf}
	}
	return []string{w.age(h.Since)}
}

func (w writer) age(t time.Time) string { return duration.HumanDuration(w.now.Sub(t)) }

func (w writer) findings(findings []audit.Finding) {
	for _, f := range findings {
		w.line(string(f.Severity), fmt.Sprintf("%s: %s", f.Kind, f.Message))
		w.line("", "-> "+f.Remedy)
	}
}

func (w writer) notRead(kinds []inventory.Unread) {
	for _, note := range inventory.Notes(kinds) {
		w.line("not read", note)
	}
}

// verdict is the answer in a few words.
func (a Answer) verdict() string {
	switch a.State {
	case Held:
		if len(a.Holders) > 1 {
			return fmt.Sprintf("is shared by %d Services", len(a.Holders))
		}
		return "is held"
	case Free:
		return "is free"
	case Reserved:
		return "is reserved" + a.Reservation.whom()
	case Claimed:
		return "is claimed by a request under way"
	case Kept:
		return "is kept by " + a.KeptBy
	case Unknown:
		return "is held by no Service that you may list, and perhaps by another"
	case Outside:
		if len(a.Pools) > 0 {
			return "is in a pool, but in no range of the API server, which gives it to nobody"
		}
		return "is in no range or pool, and no Service has it"
	}
	return "is in conflict"
}

func (r *Reservation) whom() string {
	if r.Service == "" {
		return " for no Service"
	}
	return fmt.Sprintf(" for %s/%s", r.Namespace, r.Service)
}

// about is what else is known, each with its name.
func (a Answer) about(now time.Time) (lines [][]string) {
	add := func(name, format string, arguments ...any) {
		lines = append(lines, []string{name, fmt.Sprintf(format, arguments...)})
	}
	switch {
	case a.ServiceCIDR != "":
		add("range", "%s of ServiceCIDR %s", a.Range, a.ServiceCIDR)
	case a.Range != "":
		add("range", "%s, NodePorts", a.Range)
	}
	for _, p := range a.Pools {
		add("pool", "%s", p)
	}
	if a.AnnouncedBy != "" || a.Unannounced {
		add("announced by", "%s", cmp.Or(a.AnnouncedBy, "no node"))
	}
	if r := a.Reservation; r != nil {
		add("reservation", "%s", r.text(now))
	}
	if c := a.Claim; c != nil {
		add("claim", "for %s, %s ago", cmp.Or(strings.Trim(c.Namespace+"/"+c.Name, "/"), "a Service without a name yet"), duration.HumanDuration(now.Sub(c.Since)))
	}
	if a.KeptBy != "" && a.State != Kept && a.Reservation == nil {
		add("IPAddress", "names %s", a.KeptBy)
	}
	if len(a.FreeNearby) > 0 {
		add("free nearby", "%s", strings.Join(a.FreeNearby, ", "))
	} else if (a.Range != "" || len(a.Pools) > 0) && !slices.ContainsFunc(a.NotRead, func(u inventory.Unread) bool { return u.Kind == inventory.Services }) {
		add("free nearby", "none")
	}
	return lines
}

// String is the pool and whom it is for.
func (p Pool) String() string {
	text := fmt.Sprintf("%s %s", p.Kind, p.Name)
	if p.Use != "" {
		text += fmt.Sprintf(" (%s)", p.Use)
	}
	text += ", for "
	if p.Services != "" {
		text += "Services with " + p.Services + " of "
	}
	if p.Namespaces == "" {
		return text + "all namespaces"
	}
	return text + "namespaces with " + p.Namespaces
}

func (r *Reservation) text(now time.Time) string {
	text := fmt.Sprintf("%s %s%s", r.Kind, r.Name, r.whom())
	if len(r.Ports) > 0 {
		text += ", port " + strings.Join(r.Ports, ", ")
	}
	if r.HealthCheck {
		text += ", health check"
	}
	return fmt.Sprintf("%s, %s, for %s", text, r.Holding.text(), duration.HumanDuration(now.Sub(r.Since)))
}

func (h Holding) text() string {
	switch h {
	case ByService:
		return "held by its Service"
	case ByPlaceholder:
		return "held by a placeholder"
	case NotKnown:
		return "held or not"
	}
	return "not held"
}

// ports are those of the Service, as NAME PORT/PROTOCOL.
func (h Holder) ports() string {
	texts := make([]string, 0, len(h.Ports))
	for _, p := range h.Ports {
		texts = append(texts, strings.TrimSpace(fmt.Sprintf("%s %d/%s", p.Name, p.Port, p.Protocol)))
	}
	return cmp.Or(strings.Join(texts, ", "), "-")
}

// Print writes the numbers of a Service as a table, then what is reserved for it
// and not held, then what is wrong.
func (s ServiceAnswer) Print(out io.Writer, now time.Time, wide bool) error {
	w := newWriter(out, now, wide)
	w.line(s.summary(now))
	if len(s.Numbers) > 0 {
		w.line("")
		w.line(w.headings("NUMBER", "FIELD", "PORTS", "STATE", "POOL", "RESERVATION")...)
	}
	for _, a := range s.Numbers {
		for _, h := range a.Holders {
			if h.Service().String() == s.Namespace+"/"+s.Name {
				w.line(append([]string{a.Number, h.Field, h.ports(), string(a.State), a.poolNames(), a.reservationName()}, w.since(h)...)...)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(s.Reservations) > 0 {
		w.line("")
		w.line("RESERVED", "BY", "PORTS", "HELD BY", "SINCE")
	}
	for _, r := range s.Reservations {
		w.line(r.Number, r.Kind, cmp.Or(strings.Join(r.Ports, ", "), "-"), string(r.Holding), w.age(r.Since))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if s.Conflict() || len(s.NotRead) > 0 {
		w.line("")
	}
	for _, a := range s.Numbers {
		w.findings(a.Conflicts)
	}
	w.notRead(s.NotRead)
	return w.Flush()
}

func (s ServiceAnswer) summary(now time.Time) string {
	name := fmt.Sprintf("Service %s/%s", s.Namespace, s.Name)
	if !s.Exists {
		return name + " does not exist; numbers are reserved for it"
	}
	name = fmt.Sprintf("%s, %s, for %s", name, s.Type, duration.HumanDuration(now.Sub(*s.Created)))
	if s.Retain != "" {
		name += ", keeps its numbers: " + s.Retain
	}
	if len(s.Numbers) == 0 {
		name += ", holds no numbers"
	}
	return name
}

func (a Answer) poolNames() string {
	names := make([]string, 0, len(a.Pools))
	for _, p := range a.Pools {
		names = append(names, p.Name)
	}
	return cmp.Or(strings.Join(names, ","), "-")
}

func (a Answer) reservationName() string {
	if a.Reservation == nil {
		return "-"
	}
	return a.Reservation.Name
}

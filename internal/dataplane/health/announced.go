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

package health

import (
	"github.com/prometheus/client_golang/prometheus"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// Announcements count what this node answers for at layer 2.
type Announcements struct {
	addresses *prometheus.GaugeVec
	owned     *prometheus.GaugeVec
	barred    *prometheus.GaugeVec
	mute      prometheus.Gauge
	taken     *prometheus.CounterVec
	contested *prometheus.CounterVec
}

// ServeAnnouncements adds them.
func (m *Metrics) ServeAnnouncements() *Announcements {
	r := m.registry
	const contested = "Times that another machine announced an address that this node answers for"
	const barred = "Load-balancer addresses that this node does not answer for, as they are a Node's or on one of its own interfaces"
	return &Announcements{
		owned:     r.familyGauge("switchyard_node_owned_addresses", "Load-balancer addresses that this node is sure to be the one to answer for"),
		barred:    r.familyGauge("switchyard_node_barred_addresses", barred),
		mute:      r.gauge("switchyard_node_announcer_mute", "1 while this node may announce addresses and has no interface to answer on").WithLabelValues(),
		addresses: r.familyGauge("switchyard_node_announced_addresses", "Load-balancer addresses that this node answers for at layer 2"),
		taken:     r.familyCounter("switchyard_node_address_announcements_total", "Times that this node told the network that an address is here"),
		contested: r.familyCounter("switchyard_node_contested_addresses_total", contested),
	}
}

// Answering is how many addresses of a family are answered for.
func (a *Announcements) Answering(family model.Family, n int) {
	a.addresses.WithLabelValues(family.String()).Set(float64(n))
}

// Owned is how many addresses of a family are this node's beyond doubt.
func (a *Announcements) Owned(family model.Family, n int) {
	a.owned.WithLabelValues(family.String()).Set(float64(n))
}

// Barred is how many addresses of a family are somebody else's.
func (a *Announcements) Barred(family model.Family, n int) {
	a.barred.WithLabelValues(family.String()).Set(float64(n))
}

// Mute says that this node may announce addresses and can not.
func (a *Announcements) Mute(mute bool) {
	a.mute.Set(0)
	if mute {
		a.mute.Set(1)
	}
}

// Announced counts an address that has come here.
func (a *Announcements) Announced(family model.Family) {
	a.taken.WithLabelValues(family.String()).Inc()
}

// Contested counts an address that somebody else announces as well.
func (a *Announcements) Contested(family model.Family) {
	a.contested.WithLabelValues(family.String()).Inc()
}

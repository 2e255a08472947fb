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

package agent

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// Checks answers load balancers on the health-check node ports of Services, a
// *health.ServiceChecks.
type Checks interface {
	Sync(family model.Family, wanted []health.ServiceCheck, addresses []netip.Addr) []*health.CheckError
}

// checksAgain is how long to wait before a port that could not be opened is
// tried again.
const checksAgain = 10 * time.Second

// laneChecks are the health checks of one family. They follow what is in the
// kernel: a load balancer must not be sent here before its packets would be.
type laneChecks struct {
	family   model.Family
	server   Checks
	recorder record.EventRecorder
	metrics  *health.Metrics

	wanted    map[types.NamespacedName]health.ServiceCheck
	addresses []netip.Addr
	// failing says what could not be opened, as it was told.
	failing map[types.NamespacedName]string
	tryAt   time.Time
	// again wakes the lane then; nil before anything failed.
	again *time.Timer
}

func newLaneChecks(family model.Family, config Config) *laneChecks {
	return &laneChecks{
		family: family, server: config.Checks, recorder: config.Recorder, metrics: config.Metrics,
		wanted: map[types.NamespacedName]health.ServiceCheck{}, failing: map[types.NamespacedName]string{},
	}
}

// check brings the health checks of the Services in work up to date.
func (l *lane) check(ctx context.Context, work work) {
	services := map[types.NamespacedName]struct{}{}
	collect := func(name model.ServicePortName) {
		services[types.NamespacedName{Namespace: name.Namespace, Name: name.Name}] = struct{}{}
	}
	for name := range work.names {
		collect(name)
	}
	if work.cause != "" {
		for name := range l.held {
			collect(name)
		}
		for service := range l.checks.wanted {
			services[service] = struct{}{}
		}
	}
	changed := false
	for service := range services {
		check, ok := l.decider.localHealth(l.family, service.Namespace, service.Name)
		changed = l.checks.want(service, check, ok) || changed
	}
	l.serveChecks(ctx, changed)
}

// recheck is for when nothing has changed but where checks may be asked for: it
// tries ports again that could not be opened, when it is time.
func (l *lane) recheck(ctx context.Context) {
	l.serveChecks(ctx, len(l.checks.failing) > 0 && !time.Now().Before(l.checks.tryAt))
}

// serveChecks opens and closes ports if that is needed, or the addresses differ.
func (l *lane) serveChecks(ctx context.Context, needed bool) {
	addresses := l.decider.checkAddresses(l.family)
	if !needed && slices.Equal(l.checks.addresses, addresses) {
		return
	}
	l.checks.addresses = addresses
	l.checks.sync(ctx, l.decider.object)
	if len(l.checks.failing) > 0 {
		l.checks.later(l.queue.again)
	}
}

// later has the lane woken when a port that failed is to be tried again.
func (c *laneChecks) later(wake func()) {
	if c.again == nil {
		c.again = time.AfterFunc(time.Until(c.tryAt), wake)
		return
	}
	c.again.Reset(time.Until(c.tryAt))
}

// want takes note of a Service's check, if it has one, and returns whether
// that is new.
func (c *laneChecks) want(service types.NamespacedName, check policy.HealthCheck, ok bool) bool {
	before, had := c.wanted[service]
	if !ok {
		delete(c.wanted, service)
		return had
	}
	c.wanted[service] = health.ServiceCheck{Service: service, Port: check.Port, LocalEndpoints: check.Endpoints}
	return before != c.wanted[service]
}

// sync opens and closes ports and says on the Service what could not be opened,
// once for as long as it is the same.
func (c *laneChecks) sync(ctx context.Context, object func(types.NamespacedName) model.Object) {
	said := map[types.NamespacedName][]string{}
	errs := c.server.Sync(c.family, slices.Collect(maps.Values(c.wanted)), c.addresses)
	c.metrics.ChecksFailed(c.family, errs)
	for _, err := range errs {
		said[err.Service] = append(said[err.Service], err.Error())
	}
	failing := make(map[types.NamespacedName]string, len(said))
	for service, errs := range said {
		failing[service] = strings.Join(errs, "; ")
		if c.failing[service] == failing[service] {
			continue
		}
		log.FromContext(ctx).Info("A health-check node port does not answer, trying again",
			"service", klog.KRef(service.Namespace, service.Name), "reason", failing[service])
		c.recorder.Event(reference(object(service)), corev1.EventTypeWarning, health.ReasonCheckNotStarted, failing[service])
	}
	c.failing, c.tryAt = failing, time.Now().Add(checksAgain)
}

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
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"

	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/dataplane/nft"
	"switchyard.dev/switchyard/internal/dataplane/policy"
)

// crowdedTable has no room for some.
type crowdedTable struct {
	*fakeTable
	starved []model.ServicePortName
}

func (c *crowdedTable) FullSync(ctx context.Context, node policy.Node, desired []policy.Decision) (nft.Result, error) {
	result, err := c.fakeTable.FullSync(ctx, node, desired)
	result.Starved = c.starved
	return result, err
}

func (c *crowdedTable) Apply(ctx context.Context, changed []policy.Decision, removed []model.ServicePortName) (nft.Result, error) {
	result, err := c.fakeTable.Apply(ctx, changed, removed)
	result.Starved = c.starved
	return result, err
}

func TestAServiceThatTheTableHasNoRoomForIsToldOnce(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		table := &crowdedTable{w.v4, []model.ServicePortName{{Namespace: "default", Name: "web", Protocol: model.TCP}}}
		w.lanes[model.IPv4].table = table
		w.setService(ctx, makeService("web", "10.96.0.1", 80, tcp))
		w.begin(ctx)
		synctest.Wait()
		w.setService(ctx, makeService("api", "10.96.0.2", 81, tcp))
		synctest.Wait()
		if n := len(w.events.Events); n != 1 {
			t.Fatalf("%d events after two syncs, want 1", n)
		}
		if got, want := <-w.events.Events, `NotProgrammed spec.ports: TCP port "" of IPv4 is not served, all 1048575 ids`; !strings.Contains(got, want) {
			t.Errorf("event %q, want %q", got, want)
		}
		expect(t, "the other one", w.v4.lines()[:1], []string{"default/api/TCP 10.96.0.2:81 -> []"})
		table.starved = nil
		w.setService(ctx, makeService("api", "10.96.0.2", 82, tcp))
		synctest.Wait()
		table.starved = []model.ServicePortName{{Namespace: "default", Name: "web", Protocol: model.TCP}}
		w.setService(ctx, makeService("api", "10.96.0.2", 83, tcp))
		synctest.Wait()
		if n := len(w.events.Events); n != 1 {
			t.Errorf("%d events when it happens again, want 1", n)
		}
	})
}

// referrer keeps the objects that Events are about.
type referrer struct {
	record.EventRecorder
	objects []string
}

func (r *referrer) Announce(object *corev1.ObjectReference, _, _ string) {
	r.objects = append(r.objects, fmt.Sprint(object.APIVersion, " ", object.Kind, " ", object.Name, " ", object.UID))
}

func (r *referrer) Event(object runtime.Object, _, reason, message string) {
	r.Announce(object.(*corev1.ObjectReference), reason, message)
}

// kubectl describe shows Events by the UID of the object.
func TestEventsAboutServicesNameTheirUID(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		announced, recorded := &referrer{}, &referrer{}
		w.Announcer, w.lanes[model.IPv4].checks.recorder = announced, recorded
		w.lanes[model.IPv4].table = &crowdedTable{w.v4, []model.ServicePortName{{Namespace: "default", Name: "web", Protocol: model.TCP}}}
		w.checks.taken = 32000
		web := makeService("web", "10.96.0.1", 80, tcp)
		web.UID = "uid-of-web"
		web.Spec.Type, web.Spec.ExternalTrafficPolicy, web.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, corev1.ServiceExternalTrafficPolicyLocal, 32000
		w.setService(ctx, web)
		w.begin(ctx)
		synctest.Wait()
		expect(t, "no room", announced.objects, []string{"v1 Service web uid-of-web"})
		expect(t, "no health check", recorded.objects, []string{"v1 Service web uid-of-web"})
	})
}

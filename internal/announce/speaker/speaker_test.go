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

package speaker

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"

	"switchyard.dev/switchyard/internal/announce"
	"switchyard.dev/switchyard/internal/announce/election"
	"switchyard.dev/switchyard/internal/announce/l2"
	"switchyard.dev/switchyard/internal/balancer"
	"switchyard.dev/switchyard/internal/dataplane/health"
)

var vip = netip.MustParseAddr("192.0.2.7")

// newSpeaker has no interface and no API server.
func newSpeaker() (s *Speaker, events chan string) {
	recorder := record.NewFakeRecorder(10)
	s = New(Config{Node: "here", Client: fake.NewClientset(), Namespace: "system", Recorder: recorder, Metrics: health.NewMetrics("test").ServeAnnouncements()})
	s.responder = l2.New(func() ([]l2.Interface, error) { return nil, nil }, func(netip.Addr, net.HardwareAddr) {})
	return s, recorder.Events
}

func TestStanding(t *testing.T) {
	ready := &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
	for name, c := range map[string]struct {
		node                   *corev1.Node
		leaving, open, healthy bool
		want                   announce.Standing
	}{
		"as it should be":          {ready, false, true, true, announce.Fit},
		"no interface":             {ready, false, false, true, announce.Unfit},
		"ends":                     {ready, true, true, true, announce.Unfit},
		"rules are behind":         {ready, false, true, false, announce.LastResort},
		"not ready":                {&corev1.Node{}, false, true, true, announce.LastResort},
		"no Node":                  {nil, false, true, true, announce.Unfit},
		"no Node, rules as before": {nil, false, true, false, announce.Unfit},
	} {
		if got := judge(c.node, c.leaving, c.open, c.healthy); got != c.want {
			t.Errorf("%s: it is %v, want %v", name, got, c.want)
		}
	}
}

// To act takes long where there are many addresses: not for each of the news.
func TestAllNewsAreAppliedAtOnce(t *testing.T) {
	s, _ := newSpeaker()
	applied := 0
	one := func(time.Time) { applied++ }
	for range 3 {
		s.news <- one
	}
	s.apply(one)
	if applied != 4 || len(s.news) > 0 {
		t.Errorf("%d of 4 news are applied, %d wait", applied, len(s.news))
	}
}

// An address that somebody else announces as well is announced again each second.
func TestOnlyANewPlaceIsAnEvent(t *testing.T) {
	s, events := newSpeaker()
	s.holders[vip] = []balancer.Holder{{Service: types.NamespacedName{Namespace: "default", Name: "web"}}}
	s.begin(t.Context(), vip, false)
	if len(events) > 0 {
		t.Errorf("there is an Event: %s", <-events)
	}
	s.begin(t.Context(), vip, true)
	if len(events) != 1 {
		t.Errorf("there are %d Events of a new place", len(events))
	}
}

func TestAContestIsLoggedOnce(t *testing.T) {
	s, _ := newSpeaker()
	var lines []string
	s.log = funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{})
	start := time.Unix(100, 0)
	by := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	for second := range 100 {
		s.logContest(start.Add(time.Duration(second)*time.Second), vip, by)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], by.String()) {
		t.Errorf("one contest is logged as %q", lines)
	}
	s.logContest(start.Add(200*time.Second), vip, by)
	if len(lines) != 2 {
		t.Errorf("another is logged as %q", lines)
	}
}

// It may be there again by now, and then nothing would bring it back.
func TestAClaimThatIsNotFoundIsNotForgotten(t *testing.T) {
	s, _ := newSpeaker()
	outcome, _, claim, err := s.leases.write(context.Background(), election.Write{Kind: election.Confirm, Addr: vip, Holder: "here"})
	if outcome != election.Unknown || claim != nil || !apierrors.IsNotFound(err) {
		t.Errorf("the outcome is %v with %v and %v", outcome, claim, err)
	}
}
